// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// What the node asks of Multicall3 (github.com/mds1/multicall3), written anew; lies at its canonical address.
contract Multicall {
    struct Call {
        address target;
        bool mayFail;
        bytes sent;
    }

    struct Result {
        bool success;
        bytes returned;
    }

    function aggregate3(Call[] calldata calls) external payable returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (results[i].success, results[i].returned) = calls[i].target.call(calls[i].sent);
            require(results[i].success || calls[i].mayFail, "a call failed");
        }
    }

    function getBlockNumber() external view returns (uint256) {
        return block.number;
    }

    function getBlockHash(uint256 height) external view returns (bytes32) {
        return blockhash(height);
    }

    function getCurrentBlockTimestamp() external view returns (uint256) {
        return block.timestamp;
    }

    function getChainId() external view returns (uint256) {
        return block.chainid;
    }

    function getEthBalance(address holder) external view returns (uint256) {
        return holder.balance;
    }
}

/// Arbitrum's precompile at 0x64: the chain's own blocks. Its last slot holds the number, slot n the hash of block n.
contract ArbSys {
    function arbBlockNumber() external view returns (uint256 word) {
        assembly {
            word := sload(not(0))
        }
    }

    function arbBlockHash(uint256 height) external view returns (bytes32 word) {
        assembly {
            word := sload(height)
        }
        require(word != 0, "invalid block number");
    }
}

/// EIP-2935 as Arbitrum has it since ArbOS 40: bounded by the chain's own number. It reads the ring of 8,191 slots
/// that the chain itself has written.
contract ArbHistory {
    fallback(bytes calldata height) external returns (bytes memory) {
        uint256 asked = uint256(bytes32(height));
        uint256 number = ArbSys(address(0x64)).arbBlockNumber();
        require(asked < number && number - asked <= 8191, "out of reach");
        bytes32 word;
        assembly {
            word := sload(mod(asked, 8191))
        }
        return abi.encode(word);
    }
}

/// What lies at 0x64 on BNB Chain: whatever it is sent, it burns what it was given.
contract Burner {
    fallback() external {
        assembly {
            invalid()
        }
    }
}
