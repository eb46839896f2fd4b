// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

// The look: balances and code sizes of many addresses, together with the block
// context the call really ran in. Nobody deploys it. `Look` is lent to an
// eth_call by a state override; `LookOnce` is init code in a call without `to`.
//
// Both answer one array of words:
//
//     block number, timestamp, chain id, parent hash,
//     the hash of each asked block (0: cannot be known here),
//     and for each holder: native balance, code size, balance of each token.

// What stands for "this token gave no answer": no real supply comes near it.
uint256 constant UNKNOWN = type(uint256).max;

// A call may burn this much and no more, so that one bad token cannot starve the others.
uint256 constant BALANCE_OF_GAS = 200_000;

// EIP-2935: the system contract that remembers 8,191 block hashes.
address constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

contract Look {
    function look(address[] memory holders, address[] memory tokens, uint256[] memory heights)
        external
        view
        returns (uint256[] memory)
    {
        return wordsFor(holders, tokens, heights);
    }
}

contract LookOnce {
    constructor(address[] memory holders, address[] memory tokens, uint256[] memory heights) {
        bytes memory answer = abi.encode(wordsFor(holders, tokens, heights));
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

function wordsFor(address[] memory holders, address[] memory tokens, uint256[] memory heights)
    view
    returns (uint256[] memory words)
{
    words = new uint256[](4 + heights.length + holders.length * (2 + tokens.length));
    words[0] = block.number;
    words[1] = block.timestamp;
    words[2] = block.chainid;
    words[3] = block.number == 0 ? 0 : hashOf(block.number - 1);
    uint256 next = 4;
    for (uint256 i; i < heights.length; ++i) {
        words[next++] = hashOf(heights[i]);
    }
    for (uint256 i; i < holders.length; ++i) {
        words[next++] = holders[i].balance;
        words[next++] = holders[i].code.length;
        for (uint256 j; j < tokens.length; ++j) {
            words[next++] = balanceOf(tokens[j], holders[i]);
        }
    }
}

function hashOf(uint256 height) view returns (uint256 word) {
    if (height >= block.number) return 0;
    if (block.number - height <= 256) return uint256(blockhash(height));
    address history = HISTORY;
    assembly ("memory-safe") {
        mstore(0x00, height)
        let answered := staticcall(gas(), history, 0x00, 0x20, 0x00, 0x20)
        if and(answered, eq(returndatasize(), 0x20)) { word := mload(0x00) }
    }
}

function balanceOf(address token, address holder) view returns (uint256 units) {
    uint256 limit = BALANCE_OF_GAS;
    uint256 unknown = UNKNOWN;
    // Assembly, because a high-level call would copy whatever a hostile token returns.
    assembly ("memory-safe") {
        mstore(0x00, shl(224, 0x70a08231)) // balanceOf(address)
        mstore(0x04, holder)
        let answered := staticcall(limit, token, 0x00, 0x24, 0x00, 0x20)
        units := unknown
        if and(answered, gt(returndatasize(), 0x1f)) { units := mload(0x00) }
    }
}
