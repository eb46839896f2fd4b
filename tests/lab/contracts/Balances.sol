// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// What many addresses hold, in one call.
contract Balances {
    function all(address[] calldata holders) external view returns (uint256[] memory units) {
        units = new uint256[](holders.length);
        for (uint256 i; i < holders.length; ++i) {
            units[i] = holders[i].balance;
        }
    }
}
