// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { BLS12381, G2 } from "./BLS12381.sol";

/// @title A committee as the code of an account
/// @notice Code is the cheapest place to read much at once. An epoch's blob holds what every check needs first, then
/// where each seat's key is, then the keys that were new in this epoch. A key stays where it was first written, so it is
/// stored once, however many epochs its member serves.
///
/// Terms: a *key* is 192 bytes here, `x.c0, x.c1, y.c0, y.c1` of 48 big-endian bytes; *padded* it is 256.
///
/// | offset | bytes | content |
/// |---|---|---|
/// | 0 | 1 | STOP: the blob cannot be called |
/// | 1 | 32 | committee hash |
/// | 33 | 256 | sum of all keys, negated, padded |
/// | 289 | 6 | members `n`, minimum shards `k`, quorum `q`, two bytes each |
/// | 295 | 1 | other blobs `b` |
/// | 296 | 20 b | their addresses |
/// | 296 + 20 b | 3 n | for each seat: 0 for this blob or the number of another one from 1; offset of the key in it, two bytes |
/// | then | 192 each | new keys |
///
/// The sum is negated because most committees have a few absent members: adding their keys to it gives the negated sum
/// of the signers' keys without another step, and the pairing takes that as well ({BLS12381-check}).
///
/// A page is the STOP byte and keys only: how committees with more new keys than one blob holds are brought in.
library EpochBlob {
    /// @notice What is in front of the keys.
    struct Head {
        bytes32 committeeHash;
        uint256 members;
        uint256 minimumShards;
        uint256 quorum;
    }

    /// @notice The blob could not be created: out of gas, or longer than code may be.
    error BlobNotCreated(uint256 codeBytes);

    /// @notice Bytes of a key.
    uint256 internal constant KEY_BYTES = 192;
    /// @notice Most keys in one blob: 96 of them and a head for 256 seats, the other 160 of them each in a blob of its
    /// own, stay below 24,576 bytes.
    uint256 internal constant KEYS_MAX = 96;

    uint256 private constant HEAD_END = 296;
    uint256 private constant SEAT_BYTES = 3;

    /// @notice Reads the head and the negated sum of all keys. One cold account, about 2,800 gas.
    /// @param negatedSum Where the sum goes.
    /// @return committeeHash As in statements.
    /// @return numbers Members, minimum shards, quorum, two bytes each, and one byte for the number of other blobs.
    function readHead(address blob, G2 negatedSum) internal view returns (bytes32 committeeHash, uint256 numbers) {
        // slither-disable-next-line assembly (code of an account is read by EXTCODECOPY only)
        assembly ("memory-safe") {
            let copy := mload(0x40)
            extcodecopy(blob, copy, 1, 295)
            committeeHash := mload(copy)
            mcopy(negatedSum, add(copy, 32), 256)
            numbers := shr(200, mload(add(copy, 288)))
        }
    }

    /// @notice The number of members in what {readHead} read.
    function members(uint256 numbers) internal pure returns (uint256) {
        return numbers >> 40;
    }

    /// @notice Minimum shards in what {readHead} read.
    function minimumShards(uint256 numbers) internal pure returns (uint256) {
        return (numbers >> 24) & 0xffff;
    }

    /// @notice The quorum in what {readHead} read.
    function quorum(uint256 numbers) internal pure returns (uint256) {
        return (numbers >> 8) & 0xffff;
    }

    /// @notice Reads where the keys of all seats are.
    /// @param numbers As {readHead} gave it.
    /// @return others Memory address of the addresses of other blobs, as they are stored.
    /// @return places Memory address of the places of the keys, as they are stored.
    function readTable(address blob, uint256 numbers) internal view returns (uint256 others, uint256 places) {
        // slither-disable-next-line assembly (as in readHead)
        assembly ("memory-safe") {
            others := mload(0x40)
            places := add(others, mul(20, and(numbers, 0xff)))
            let end := add(places, mul(SEAT_BYTES, shr(40, numbers)))
            extcodecopy(blob, others, HEAD_END, sub(end, others))
            mstore(0x40, and(add(end, 31), not(31)))
        }
    }

    /// @notice Reads the key of `seat` into `key`.
    /// @param others As {readTable} gave it for `blob`.
    /// @param places As {readTable} gave it for `blob`.
    /// @param seat Below the number of members.
    /// @param key Its padding is zero already.
    function readKey(address blob, uint256 others, uint256 places, uint256 seat, G2 key) internal view {
        uint256 offset;
        // slither-disable-next-line assembly (three bytes of the table, and twenty)
        assembly ("memory-safe") {
            let place := shr(232, mload(add(places, mul(SEAT_BYTES, seat))))
            offset := and(place, 0xffff)
            let other := shr(16, place)
            if other { blob := shr(96, mload(add(others, mul(20, sub(other, 1))))) }
        }
        readKey(blob, offset, key);
    }

    /// @notice Reads the key at `offset` in the code of `blob` into `key`.
    /// @param key Its padding is zero already.
    function readKey(address blob, uint256 offset, G2 key) internal view {
        // slither-disable-next-line assembly (code of an account is read by EXTCODECOPY only)
        assembly ("memory-safe") {
            let copy := mload(0x40)
            extcodecopy(blob, copy, offset, KEY_BYTES)
            mcopy(add(key, 16), copy, 48)
            mcopy(add(key, 80), add(copy, 48), 48)
            mcopy(add(key, 144), add(copy, 96), 48)
            mcopy(add(key, 208), add(copy, 144), 48)
        }
    }

    /// @notice Writes a page of padded keys and says where the first is; the others follow each other.
    function writePage(bytes calldata paddedKeys) internal returns (address blob, uint256 firstOffset) {
        return (_create(bytes.concat(hex"00", _unpad(paddedKeys))), 1);
    }

    /// @notice Writes an epoch's blob.
    /// @param others Addresses of other blobs with keys of this committee, at most 255.
    /// @param seats For each seat number of its blob and offset; offsets of new keys are counted from the first new key.
    /// @param newKeys Padded.
    /// @return blob The new account.
    /// @return firstOffset Where the first new key is in its code.
    function writeEpoch(
        Head memory head,
        G2 negatedSum,
        address[] memory others,
        uint256[] memory seats,
        bytes calldata newKeys
    ) internal returns (address blob, uint256 firstOffset) {
        bytes memory table;
        for (uint256 i = 0; i < others.length; ++i) {
            table = abi.encodePacked(table, others[i]);
        }
        firstOffset = HEAD_END + 20 * others.length + SEAT_BYTES * seats.length;
        bytes memory entries = new bytes(SEAT_BYTES * seats.length);
        for (uint256 seat = 0; seat < seats.length; ++seat) {
            uint256 entry = seats[seat];
            if (entry >> 16 == 0) entry += firstOffset;
            // slither-disable-next-line assembly (three bytes for each seat, in place)
            assembly ("memory-safe") {
                let to := add(add(entries, 32), mul(SEAT_BYTES, seat))
                mstore8(to, shr(16, entry))
                mstore8(add(to, 1), shr(8, entry))
                mstore8(add(to, 2), entry)
            }
        }
        bytes memory code = abi.encodePacked(
            hex"00",
            head.committeeHash,
            BLS12381.toBytes(negatedSum),
            uint16(head.members),
            uint16(head.minimumShards),
            uint16(head.quorum),
            uint8(others.length),
            table,
            entries,
            _unpad(newKeys)
        );
        return (_create(code), firstOffset);
    }

    /// @dev Takes the 16 zero bytes out of each coordinate. The length is a multiple of 256.
    function _unpad(bytes calldata padded) private pure returns (bytes memory keys) {
        // slither-disable-next-line divide-before-multiply (the length is a multiple of 256)
        keys = new bytes(padded.length / 4 * 3);
        // slither-disable-next-line assembly (48 of each 64 bytes of call data, in place)
        assembly ("memory-safe") {
            let to := add(keys, 32)
            let end := add(padded.offset, padded.length)
            for { let from := padded.offset } lt(from, end) { from := add(from, 64) } {
                calldatacopy(to, add(from, 16), 48)
                to := add(to, 48)
            }
        }
    }

    /// @dev Init code that returns what follows it: PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY,
    /// RETURNDATASIZE, RETURN. RETURNDATASIZE is 0 there.
    function _create(bytes memory code) private returns (address blob) {
        bytes memory init = abi.encodePacked(hex"61", uint16(code.length), hex"80600a3d393df3", code);
        if (code.length <= type(uint16).max) {
            // slither-disable-next-line assembly (CREATE with init code of our own)
            assembly ("memory-safe") {
                blob := create(0, add(init, 32), mload(init))
            }
        }
        if (blob == address(0)) revert BlobNotCreated(code.length);
    }
}
