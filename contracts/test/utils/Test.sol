// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { Vm } from "./Vm.sol";

/// @notice For forge: which functions of a contract are called at random.
struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

/// @notice What every test needs.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice For forge: this is a test contract.
    bool public constant IS_TEST = true;

    error NotEqual(bytes found, bytes expected);
    error NotTrue(string what);

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function assertEq(uint256 found, uint256 expected) internal pure {
        if (found != expected) revert NotEqual(abi.encode(found), abi.encode(expected));
    }

    function assertEq(bytes32 found, bytes32 expected) internal pure {
        if (found != expected) revert NotEqual(abi.encode(found), abi.encode(expected));
    }

    function assertEq(bytes memory found, bytes memory expected) internal pure {
        if (keccak256(found) != keccak256(expected)) revert NotEqual(found, expected);
    }

    /// @notice A contract as it is deployed: the bytes of `artifacts`, which the build has compared with the sources.
    /// @param arguments Of its constructor, ABI-encoded. What that reverts with, this does.
    function create(string memory name, bytes memory arguments) internal returns (address made) {
        bytes memory code = bytes.concat(vm.getCode(string.concat("artifacts/", name, ".json")), arguments);
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                let free := mload(0x40)
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
        }
    }

    /// @notice `json.list[index].field` as forge's JSON paths write it.
    function path(string memory list, uint256 index, string memory field) internal pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(index), "]", field);
    }
}
