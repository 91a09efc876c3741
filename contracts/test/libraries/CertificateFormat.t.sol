// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CertificateFormat } from "../../src/libraries/CertificateFormat.sol";
import { SigningDomain } from "../../src/libraries/SigningDomain.sol";
import { Test } from "../utils/Test.sol";

/// @notice What members sign, against the digests that Rust wrote: numbers from 0 to 2^64 - 1, three domains.
contract CertificateFormatTest is Test {
    using CertificateFormat for CertificateFormat.Fields;

    string private constant STATEMENTS = "../tests/vectors/statement.json";

    function test_hashes_statements_as_the_vectors_say() public {
        string memory json = vm.readFile(STATEMENTS);
        uint256 count;
        for (; vm.keyExistsJson(json, path("cases", count, "")); ++count) {
            bytes32 separator = separatorOf(json, count);
            assertEq(separator, word(json, count, ".domain.separator"));
            assertEq(CertificateFormat.STATEMENT_TYPEHASH, word(json, count, ".type_hash"));
            bytes32 structHash = this.hashStatement(certificateOf(json, count));
            assertEq(structHash, word(json, count, ".struct_hash"));
            bytes32 digest = keccak256(bytes.concat(hex"1901", separator, structHash));
            assertEq(digest, word(json, count, ".digest"));
        }
        assertEq(count, 9);
    }

    function hashStatement(bytes calldata certificate) external pure returns (bytes32) {
        return CertificateFormat.read(certificate).hashStatement();
    }

    function separatorOf(string memory json, uint256 i) private returns (bytes32) {
        vm.chainId(number(json, i, ".domain.chain_id"));
        return SigningDomain.separator(vm.parseJsonAddress(json, path("cases", i, ".domain.registry")));
    }

    /// @dev A certificate of the statement; what is around it is no part of the hash.
    function certificateOf(string memory json, uint256 i) private pure returns (bytes memory) {
        bytes memory times =
            abi.encode(number(json, i, ".statement.hot_until"), number(json, i, ".statement.retain_until"));
        bytes memory tail = bytes.concat(abi.encode(uint256(1), uint256(416), uint256(128)), new bytes(128));
        return bytes.concat(
            abi.encode(
                number(json, i, ".domain.chain_id"), vm.parseJsonAddress(json, path("cases", i, ".domain.registry"))
            ),
            word(json, i, ".statement.rollup_id"),
            bytes32(number(json, i, ".statement.epoch")),
            word(json, i, ".statement.committee_hash"),
            bytes32(number(json, i, ".statement.data_bytes")),
            word(json, i, ".statement.data_hash"),
            word(json, i, ".statement.data_root"),
            word(json, i, ".statement.shards_root"),
            times,
            tail
        );
    }

    function word(string memory json, uint256 i, string memory field) private pure returns (bytes32) {
        return vm.parseJsonBytes32(json, path("cases", i, field));
    }

    function number(string memory json, uint256 i, string memory field) private pure returns (uint256) {
        return vm.parseJsonUint(json, path("cases", i, field));
    }
}
