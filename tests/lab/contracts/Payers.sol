// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

interface Token {
    function transferFrom(address from, address to, uint256 units) external;
}

interface PermitToken {
    function permit(address owner, address spender, uint256 units, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
    function transferFrom(address from, address to, uint256 units) external returns (bool);
}

/// Many payments in one transaction.
contract Batch {
    /// The caller has approved this contract. No return value is read, so Tether passes too.
    function payTokens(Token token, address[] calldata recipients, uint256[] calldata units) external {
        for (uint256 i; i < recipients.length; ++i) {
            token.transferFrom(msg.sender, recipients[i], units[i]);
        }
    }

    function payNative(address[] calldata recipients, uint256[] calldata units) external payable {
        for (uint256 i; i < recipients.length; ++i) {
            (bool paid,) = recipients[i].call{value: units[i]}("");
            require(paid, "not paid");
        }
    }
}

/// Native coins sent from inside a contract, in every way that fools a naive scanner.
contract Payer {
    receive() external payable {}

    /// An honest internal payment.
    function pay(address recipient) public payable {
        (bool paid,) = recipient.call{value: msg.value}("");
        require(paid, "not paid");
    }

    /// Arrives although the recipient's code is never run.
    function payBySelfdestruct(address payable recipient) external payable {
        new Doomed{value: msg.value}(recipient);
    }

    /// Transaction status 1, a frame that pays, and a frame above it that undoes the payment.
    function payAndRevertInside(address recipient) external payable {
        try this.payThenRevert{value: msg.value}(recipient) {} catch {}
    }

    /// Transaction status 0.
    function payThenRevert(address recipient) external payable {
        pay(recipient);
        revert("taken back");
    }
}

contract Doomed {
    constructor(address payable recipient) payable {
        selfdestruct(recipient);
    }
}

/// Pays with the tokens of whoever signed a permit, whoever calls.
contract PermitRouter {
    function pay(PermitToken token, address owner, address to, uint256 units, uint8 v, bytes32 r, bytes32 s) external {
        token.permit(owner, address(this), units, type(uint256).max, v, r, s);
        token.transferFrom(owner, to, units);
    }
}

/// What a wallet's own address runs once it is delegated (EIP-7702): any calls, in one transaction of any sponsor.
contract Wallet {
    receive() external payable {}

    function execute(address[] calldata targets, uint256[] calldata values, bytes[] calldata calls) external {
        for (uint256 i; i < targets.length; ++i) {
            (bool worked,) = targets[i].call{value: values[i]}(calls[i]);
            require(worked, "a call failed");
        }
    }
}

/// A native payment that is logged as if it were a token's, as EIP-7708 and some chains do it.
contract LoggedCoin {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function pay(address recipient) external payable {
        (bool paid,) = recipient.call{value: msg.value}("");
        require(paid, "not paid");
        emit Transfer(msg.sender, recipient, msg.value);
    }
}
