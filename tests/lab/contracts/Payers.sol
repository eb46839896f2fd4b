// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

interface Token {
    function transferFrom(address from, address to, uint256 units) external;
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
