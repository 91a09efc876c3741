// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import { ICommitteeRegistry } from "./interfaces/ICommitteeRegistry.sol";
import { BLS12381, G2 } from "./libraries/BLS12381.sol";
import { EpochBlob } from "./libraries/EpochBlob.sol";
import { EpochRecord, EpochSchedule } from "./libraries/EpochSchedule.sol";
import { SigningDomain } from "./libraries/SigningDomain.sol";
import { Members } from "./registry/Members.sol";
import { Rollups } from "./registry/Rollups.sol";

/// @title CommitteeRegistry
/// @notice See {ICommitteeRegistry}. Here: epochs and their committees; {Members} and {Rollups} are the rest.
/// @dev A registered key was in the subgroup when its proof was checked, and its id is its hash; so keys need no check
/// when they come again in an announcement, beyond that hash.
contract CommitteeRegistry is Rollups, Members {
    using EpochSchedule for EpochSchedule.Schedule;
    using EpochBlob for address;

    uint256 private constant MEMBERS_MAX = 256;
    uint256 private constant OTHERS_MAX = 255;
    /// @dev No period is longer; so sums of times cannot overflow and a mistake in units is seen.
    uint256 private constant PERIOD_SECONDS_MAX = 3650 days;

    /// @inheritdoc ICommitteeRegistry
    uint256 public immutable announcementDelaySeconds;

    EpochSchedule.Schedule private _schedule;

    /// @param owner A timelock. Its delay comes on top of `announcementDelaySeconds_`.
    /// @param announcementDelaySeconds_ At least as long as users need to leave.
    /// @param retentionSecondsMax_ Longest retention of any rollup.
    constructor(address owner, uint256 announcementDelaySeconds_, uint256 retentionSecondsMax_)
        Rollups(owner, retentionSecondsMax_)
    {
        bool sane = announcementDelaySeconds_ != 0 && retentionSecondsMax_ != 0;
        if (!sane || announcementDelaySeconds_ > PERIOD_SECONDS_MAX || retentionSecondsMax_ > PERIOD_SECONDS_MAX) {
            revert InvalidPeriods(announcementDelaySeconds_, retentionSecondsMax_);
        }
        announcementDelaySeconds = announcementDelaySeconds_;
    }

    /// @inheritdoc ICommitteeRegistry
    function announce(Announcement calldata announcement) external onlyOwner {
        _checkCommittee(announcement);
        _schedule.checkNext(announcement.epoch, announcement.activatesAt, announcementDelaySeconds);
        Seating memory seating = _seat(announcement);
        if (BLS12381.isInfinity(seating.negatedSum)) revert KeysCancel();
        EpochBlob.Head memory head = _makeHead(announcement, keccak256(seating.keys));
        (address blob, uint256 firstOffset) =
            EpochBlob.writeEpoch(head, seating.negatedSum, seating.others, seating.entries, announcement.newKeys);
        _placeKeys(announcement.newKeys, blob, firstOffset);
        _schedule.announce(announcement.epoch, blob, announcement.activatesAt, announcementDelaySeconds);
        emit EpochAnnounced(
            announcement.epoch,
            head.committeeHash,
            announcement.minimumShards,
            announcement.quorum,
            announcement.activatesAt,
            announcement.members
        );
    }

    /// @inheritdoc ICommitteeRegistry
    function cancel(uint64 epoch) external onlyOwner {
        _schedule.cancel(epoch);
        emit EpochCancelled(epoch);
    }

    /// @inheritdoc ICommitteeRegistry
    function storeKeys(bytes calldata keys) external onlyOwner {
        uint256 count = _checkNewKeys(keys);
        if (count == 0) revert WrongPointLength(0, KEY_BYTES);
        (address blob, uint256 firstOffset) = EpochBlob.writePage(keys);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 memberId = keccak256(keys[i * KEY_BYTES:(i + 1) * KEY_BYTES]);
            if (_members[memberId].operator == address(0)) revert UnknownMember(memberId);
            if (_members[memberId].blob != address(0)) revert KeyAlreadyStored(memberId);
            _placeKey(memberId, blob, firstOffset, i);
        }
        emit KeysStored(blob, count);
    }

    /// @inheritdoc ICommitteeRegistry
    function scheduleOf(uint64 epoch) external view returns (EpochRecord) {
        return _schedule.records[epoch];
    }

    /// @inheritdoc ICommitteeRegistry
    function epochs() external view returns (uint64 current, uint64 latest, uint64 numbered) {
        return (_schedule.current(), _schedule.latest, _schedule.numbered);
    }

    /// @inheritdoc ICommitteeRegistry
    function committee(uint64 epoch)
        external
        view
        returns (bytes32 committeeHash, uint16 members, uint16 minimumShards, uint16 quorum)
    {
        (, bytes32 found, uint256 numbers,) = _read(epoch);
        members = uint16(EpochBlob.members(numbers));
        minimumShards = uint16(EpochBlob.minimumShards(numbers));
        return (found, members, minimumShards, uint16(EpochBlob.quorum(numbers)));
    }

    /// @inheritdoc ICommitteeRegistry
    function aggregateKey(uint64 epoch) external view returns (bytes memory) {
        (,,, G2 negatedSum) = _read(epoch);
        BLS12381.negate(negatedSum);
        return BLS12381.toBytes(negatedSum);
    }

    /// @inheritdoc ICommitteeRegistry
    function keyOf(uint64 epoch, uint16 seat) external view returns (bytes memory) {
        (address blob,, uint256 numbers, G2 key) = _read(epoch);
        if (seat >= EpochBlob.members(numbers)) revert UnknownSeat(seat, EpochBlob.members(numbers));
        (uint256 others, uint256 places) = blob.readTable(numbers);
        blob.readKey(others, places, seat, key);
        return BLS12381.toBytes(key);
    }

    /// @inheritdoc ICommitteeRegistry
    function domainSeparator() external view returns (bytes32) {
        return SigningDomain.separator(address(this));
    }

    /// @notice Refused: a committee needs somebody who can change it.
    function renounceOwnership() public view override onlyOwner {
        revert OwnerRequired();
    }

    function _makeHead(Announcement calldata announcement, bytes32 keysHash)
        private
        pure
        returns (EpochBlob.Head memory)
    {
        (uint256 n, uint256 k, uint256 q) =
            (announcement.members.length, announcement.minimumShards, announcement.quorum);
        bytes32 committeeHash = keccak256(abi.encode(announcement.epoch, n, k, q, keysHash));
        return EpochBlob.Head({ committeeHash: committeeHash, members: n, minimumShards: k, quorum: q });
    }

    /// @dev What comes of looking at each seat: all padded keys in seat order, and where each is.
    struct Seating {
        bytes keys;
        address[] others;
        uint256[] entries;
        G2 negatedSum;
    }

    /// @dev Finds the key of each seat, stored or new, checks it, and adds it to the sum.
    function _seat(Announcement calldata announcement) private returns (Seating memory seating) {
        uint256 n = announcement.members.length;
        uint256 newKeys = _checkNewKeys(announcement.newKeys);
        seating.keys = new bytes(n * KEY_BYTES);
        seating.entries = new uint256[](n);
        address[] memory others = new address[](n);
        (G2 sum, G2 key) = BLS12381.newSum();
        uint256 othersCount;
        uint256 taken;
        for (uint256 seat = 0; seat < n; ++seat) {
            bytes32 memberId = announcement.members[seat];
            Member storage found = _takeSeat(memberId, announcement.epoch);
            address blob = found.blob;
            if (blob == address(0)) {
                if (taken == newKeys) revert NewKeyMismatch(memberId, 0);
                _readNewKey(announcement.newKeys, taken, memberId, key);
                seating.entries[seat] = EpochBlob.KEY_BYTES * taken++;
            } else {
                EpochBlob.readKey(blob, found.offset, key);
                uint256 other = _indexOf(others, othersCount, blob);
                if (other == othersCount) others[othersCount++] = blob;
                if (othersCount > OTHERS_MAX) revert TooManyBlobs(othersCount, OTHERS_MAX);
                seating.entries[seat] = ((other + 1) << 16) | found.offset;
            }
            _keep(key, seating.keys, seat);
            BLS12381.addNext(sum, sum);
        }
        if (taken != newKeys) revert NewKeyMismatch(0, keccak256(_newKey(announcement.newKeys, taken)));
        // slither-disable-next-line assembly (an array cannot be shortened otherwise)
        assembly ("memory-safe") {
            mstore(others, othersCount)
        }
        BLS12381.negate(sum);
        (seating.others, seating.negatedSum) = (others, sum);
    }

    /// @dev Marks a member as seated in `epoch`, once.
    function _takeSeat(bytes32 memberId, uint64 epoch) private returns (Member storage found) {
        found = _members[memberId];
        if (found.operator == address(0)) revert UnknownMember(memberId);
        if (found.retired) revert Retired(memberId);
        if (found.seatedIn == epoch) revert DuplicateMember(memberId);
        found.seatedIn = epoch;
    }

    function _readNewKey(bytes calldata newKeys, uint256 index, bytes32 memberId, G2 key) private pure {
        bytes calldata bytesOfKey = _newKey(newKeys, index);
        bytes32 found = keccak256(bytesOfKey);
        if (found != memberId) revert NewKeyMismatch(memberId, found);
        // slither-disable-next-line assembly (call data straight to its place beside the sum)
        assembly ("memory-safe") {
            calldatacopy(key, bytesOfKey.offset, KEY_BYTES)
        }
    }

    /// @dev Remembers where the new keys of an epoch are.
    function _placeKeys(bytes calldata newKeys, address blob, uint256 firstOffset) private {
        uint256 count = newKeys.length / KEY_BYTES;
        for (uint256 i = 0; i < count; ++i) {
            _placeKey(keccak256(_newKey(newKeys, i)), blob, firstOffset, i);
        }
    }

    function _placeKey(bytes32 memberId, address blob, uint256 firstOffset, uint256 index) private {
        Member storage found = _members[memberId];
        found.blob = blob;
        found.offset = SafeCast.toUint16(firstOffset + EpochBlob.KEY_BYTES * index);
    }

    function _read(uint64 epoch)
        private
        view
        returns (address blob, bytes32 committeeHash, uint256 numbers, G2 negatedSum)
    {
        blob = _schedule.records[epoch].blob();
        if (blob == address(0)) revert UnknownEpoch(epoch);
        // slither-disable-next-line unused-return (only one of the two points is needed)
        (negatedSum,) = BLS12381.newSum();
        (committeeHash, numbers) = blob.readHead(negatedSum);
    }

    function _checkCommittee(Announcement calldata announcement) private pure {
        (uint256 n, uint256 k, uint256 q) =
            (announcement.members.length, announcement.minimumShards, announcement.quorum);
        if (k == 0 || k > q || q > n || n > MEMBERS_MAX) revert InvalidThresholds(n, k, q);
    }

    function _checkNewKeys(bytes calldata newKeys) private pure returns (uint256 count) {
        count = newKeys.length / KEY_BYTES;
        if (newKeys.length % KEY_BYTES != 0) revert WrongPointLength(newKeys.length, (count + 1) * KEY_BYTES);
        if (count > EpochBlob.KEYS_MAX) revert TooManyNewKeys(count, EpochBlob.KEYS_MAX);
    }

    function _newKey(bytes calldata newKeys, uint256 index) private pure returns (bytes calldata) {
        return newKeys[index * KEY_BYTES:(index + 1) * KEY_BYTES];
    }

    /// @dev Puts the key of `seat` among the keys of all.
    function _keep(G2 key, bytes memory keys, uint256 seat) private pure {
        // slither-disable-next-line assembly (one copy; what is hashed afterwards shows any mistake)
        assembly ("memory-safe") {
            mcopy(add(add(keys, 32), mul(seat, KEY_BYTES)), key, KEY_BYTES)
        }
    }

    function _indexOf(address[] memory list, uint256 count, address wanted) private pure returns (uint256 index) {
        while (index < count && list[index] != wanted) ++index;
    }
}
