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

// EIP-2935: the system contract that remembers block hashes, 8,191 on Ethereum, and on other chains perhaps more.
address constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

// Arbitrum: `block.number` and BLOCKHASH speak of Ethereum there; this precompile knows the chain's own blocks.
address constant ARB_SYS = 0x0000000000000000000000000000000000000064;

// Much more than either needs. Other chains have other things at the same addresses: a precompile of BNB Chain burns
// whatever it is given.
uint256 constant SYSTEM_GAS = 100_000;

uint256 constant ARB_BLOCK_NUMBER = 0xa3b1b31d; // arbBlockNumber()
uint256 constant ARB_BLOCK_HASH = 0x2b407a82; // arbBlockHash(uint256)
uint256 constant BALANCE_OF = 0x70a08231; // balanceOf(address)

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
    (bool isArbitrum, uint256 number) = ask(ARB_SYS, SYSTEM_GAS, ARB_BLOCK_NUMBER, 0, 0, 4);
    if (!isArbitrum) number = block.number;
    words[0] = number;
    words[1] = block.timestamp;
    words[2] = block.chainid;
    words[3] = number == 0 ? 0 : hashOf(number - 1, number, isArbitrum);
    uint256 next = 4;
    for (uint256 i; i < heights.length; ++i) {
        words[next++] = hashOf(heights[i], number, isArbitrum);
    }
    for (uint256 i; i < holders.length; ++i) {
        words[next++] = holders[i].balance;
        words[next++] = holders[i].code.length;
        for (uint256 j; j < tokens.length; ++j) {
            (bool isTold, uint256 units) =
                ask(tokens[j], BALANCE_OF_GAS, BALANCE_OF, uint256(uint160(holders[i])), 0, 36);
            words[next++] = isTold ? units : UNKNOWN;
        }
    }
}

// The system contract is asked first: on some rollups BLOCKHASH is no hash of a block.
function hashOf(uint256 height, uint256 number, bool isArbitrum) view returns (uint256 word) {
    if (height >= number) return 0;
    (, word) = ask(HISTORY, SYSTEM_GAS, 0, height, 4, 32);
    if (word != 0 || number - height > 256) return word;
    if (!isArbitrum) return uint256(blockhash(height));
    (, word) = ask(ARB_SYS, SYSTEM_GAS, ARB_BLOCK_HASH, height, 0, 36);
}

// The first word that `target` answers; not told, and 0, if it answers less. It is sent the `size` bytes from `start`
// of the selector and the argument behind it. In assembly, because a high-level call would copy whatever a hostile
// contract returns.
function ask(address target, uint256 limit, uint256 selector, uint256 argument, uint256 start, uint256 size)
    view
    returns (bool isTold, uint256 word)
{
    assembly ("memory-safe") {
        mstore(0x00, shl(224, selector))
        mstore(0x04, argument)
        let isAnswered := staticcall(limit, target, start, size, 0x00, 0x20)
        isTold := and(isAnswered, gt(returndatasize(), 0x1f))
        if isTold { word := mload(0x00) }
    }
}
