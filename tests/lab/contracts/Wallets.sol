// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// What a smart wallet runs: behind a proxy (Safe), or as the code of the payer's own account (EIP-7702).
contract WalletCode {
    error Unpaid(uint256 index);

    receive() external payable {}

    /// All payments or none.
    function execute(address[] calldata to, uint256[] calldata units, bytes[] calldata data) external payable {
        for (uint256 i; i < to.length; ++i) {
            (bool paid,) = to[i].call{value: units[i]}(data[i]);
            if (!paid) revert Unpaid(i);
        }
    }

    /// Each payment by itself: what one of them undoes, the others keep.
    function executeEach(address[] calldata to, uint256[] calldata units, bytes[] calldata data) external payable {
        for (uint256 i; i < to.length; ++i) {
            to[i].call{value: units[i]}(data[i]);
        }
    }
}

/// A wallet like a Safe: the proxy's DELEGATECALL repeats the value, and moves nothing.
contract WalletProxy {
    address immutable code;

    constructor(address code_) payable {
        code = code_;
    }

    receive() external payable {}

    fallback() external payable {
        (bool done, bytes memory answer) = code.delegatecall(msg.data);
        assembly {
            switch done
            case 0 { revert(add(answer, 32), mload(answer)) }
            default { return(add(answer, 32), mload(answer)) }
        }
    }
}

/// Emits the log that some chains write for their native coin (EIP-7708; Polygon's 0x..1010).
contract NativeLogger {
    event Transfer(address indexed from, address indexed to, uint256 units);

    fallback() external payable {
        (address to, uint256 units) = abi.decode(msg.data, (address, uint256));
        emit Transfer(msg.sender, to, units);
        if (msg.value != 0) {
            (bool paid,) = to.call{value: msg.value}("");
            require(paid, "not paid");
        }
    }
}
