// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// A plain ERC-20 that behaves.
contract Standard {
    string public name = "Tether USD";
    string public symbol = "USDT";
    uint8 public immutable decimals;
    uint256 public totalSupply = 1e40;
    mapping(address => uint256) internal held;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(uint8 decimals_) {
        decimals = decimals_;
        held[msg.sender] = totalSupply;
        emit Transfer(address(0), msg.sender, totalSupply);
    }

    function balanceOf(address holder) public view virtual returns (uint256) {
        return held[holder];
    }

    function transfer(address to, uint256 units) external virtual returns (bool) {
        move(msg.sender, to, units);
        return true;
    }

    function transferFrom(address from, address to, uint256 units) external returns (bool) {
        if (allowance[from][msg.sender] != type(uint256).max) allowance[from][msg.sender] -= units;
        move(from, to, units);
        return true;
    }

    function approve(address spender, uint256 units) external returns (bool) {
        allowance[msg.sender][spender] = units;
        emit Approval(msg.sender, spender, units);
        return true;
    }

    function move(address from, address to, uint256 units) internal virtual {
        held[from] -= units;
        held[to] += units;
        emit Transfer(from, to, units);
    }
}

/// Spending may be allowed by a signature instead of a transaction. https://eips.ethereum.org/EIPS/eip-2612
contract Permitted is Standard(6) {
    bytes32 private constant DOMAIN = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    mapping(address => uint256) public nonces;

    function permit(address owner, address spender, uint256 units, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        require(block.timestamp <= deadline, "too late");
        bytes32 domain = keccak256(abi.encode(DOMAIN, block.chainid, address(this)));
        bytes32 content = keccak256(abi.encode(PERMIT, owner, spender, units, nonces[owner]++, deadline));
        address signer = ecrecover(keccak256(abi.encodePacked(hex"1901", domain, content)), v, r, s);
        require(signer == owner && owner != address(0), "not signed by the owner");
        allowance[owner][spender] = units;
        emit Approval(owner, spender, units);
    }
}

/// A short balance makes `transfer` return false: transaction status 1, no log, nothing moved.
contract FalseTopUp is Standard(18) {
    function transfer(address to, uint256 units) external override returns (bool) {
        if (held[msg.sender] < units) return false;
        move(msg.sender, to, units);
        return true;
    }
}

/// One percent is burned on the way; the logs tell the truth.
contract FeeToken is Standard(6) {
    function move(address from, address to, uint256 units) internal override {
        uint256 fee = units / 100;
        super.move(from, address(0), fee);
        super.move(from, to, units - fee);
    }
}

/// One percent is burned on the way; the log names the gross amount.
contract GrossFeeToken is Standard(6) {
    function move(address from, address to, uint256 units) internal override {
        super.move(from, to, units);
        held[to] -= units / 100;
    }
}

/// Its issuer can do what issuers do, and none of it leaves a Transfer log.
contract Issued is Standard(6) {
    mapping(address => bool) public isFrozen;

    function freeze(address holder, bool frozen) external {
        isFrozen[holder] = frozen;
    }

    function wipe(address holder) external {
        held[holder] = 0;
    }

    function wipePart(address holder, uint256 units) external {
        held[holder] -= units;
    }

    function rebase(address holder, int256 change) external {
        held[holder] = uint256(int256(held[holder]) + change);
    }

    function move(address from, address to, uint256 units) internal override {
        require(!isFrozen[from], "frozen");
        super.move(from, to, units);
    }
}

/// `balanceOf` fails for a holder in the way chosen: reverts, burns all gas, answers too short, answers too much.
contract Awkward is Standard(6) {
    enum Way {
        Fine,
        Reverts,
        BurnsGas,
        TooShort,
        TooLong
    }

    mapping(address => Way) public wayOf;
    Way public wayOfAll;

    function setWay(address holder, Way way) external {
        wayOf[holder] = way;
    }

    function setWayOfAll(Way way) external {
        wayOfAll = way;
    }

    function balanceOf(address holder) public view override returns (uint256) {
        Way way = wayOfAll == Way.Fine ? wayOf[holder] : wayOfAll;
        if (way == Way.Reverts) revert("no");
        if (way == Way.BurnsGas) {
            while (true) {}
        }
        if (way == Way.TooShort) {
            assembly {
                return(0, 31)
            }
        }
        if (way == Way.TooLong) {
            uint256 units = held[holder];
            assembly {
                mstore(0, units)
                return(0, 10000)
            }
        }
        return held[holder];
    }
}

/// Tether as deployed on Ethereum: no return values, a blacklist, wiped funds, a pause, and a fee nobody has switched on yet.
contract TetherLike {
    string public name = "Tether USD";
    string public symbol = "USDT";
    uint8 public constant decimals = 6;
    uint256 public totalSupply = 1e24;
    uint256 public basisPointsRate;
    uint256 public maximumFee;
    bool public paused;
    address public immutable owner = msg.sender;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public isBlackListed;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    modifier onlyOwner() {
        require(msg.sender == owner);
        _;
    }

    constructor() {
        balanceOf[msg.sender] = totalSupply;
        emit Transfer(address(0), msg.sender, totalSupply);
    }

    function setParams(uint256 basisPoints, uint256 maximum) external onlyOwner {
        basisPointsRate = basisPoints;
        maximumFee = maximum;
    }

    function setPaused(bool paused_) external onlyOwner {
        paused = paused_;
    }

    function setBlackListed(address holder, bool listed) external onlyOwner {
        isBlackListed[holder] = listed;
    }

    function destroyBlackFunds(address holder) external onlyOwner {
        require(isBlackListed[holder]);
        totalSupply -= balanceOf[holder];
        balanceOf[holder] = 0;
    }

    function transfer(address to, uint256 units) external {
        move(msg.sender, to, units);
    }

    function transferFrom(address from, address to, uint256 units) external {
        if (allowance[from][msg.sender] != type(uint256).max) allowance[from][msg.sender] -= units;
        move(from, to, units);
    }

    function approve(address spender, uint256 units) external {
        require(units == 0 || allowance[msg.sender][spender] == 0);
        allowance[msg.sender][spender] = units;
        emit Approval(msg.sender, spender, units);
    }

    function move(address from, address to, uint256 units) internal {
        require(!paused && !isBlackListed[from]);
        uint256 fee = units * basisPointsRate / 10_000;
        if (fee > maximumFee) fee = maximumFee;
        balanceOf[from] -= units;
        balanceOf[to] += units - fee;
        if (fee > 0) {
            balanceOf[owner] += fee;
            emit Transfer(from, owner, fee);
        }
        emit Transfer(from, to, units - fee);
    }
}

/// The name of a real token and none of its substance: logs are written, nothing moves.
contract FakeToken {
    string public name = "Tether USD";
    string public symbol = "USDT";
    uint8 public constant decimals = 6;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function transfer(address to, uint256 units) external returns (bool) {
        emit Transfer(msg.sender, to, units);
        return true;
    }

    function spoof(address from, address to, uint256 units) external {
        emit Transfer(from, to, units);
    }

    function spoofMany(address to, uint256 count) external {
        for (uint256 i; i < count; ++i) {
            emit Transfer(address(uint160(i + 1)), to, type(uint256).max);
        }
    }
}
