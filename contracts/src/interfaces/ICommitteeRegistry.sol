// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { EpochRecord } from "../libraries/EpochSchedule.sol";

/// @title The committee on L1: who may sign, from when, and for whom
/// @notice Three parties write here. An *operator* registers a key that it proves to hold. The *owner*, a timelock, says
/// which registered members form the committee of the next epoch and which rollups they serve. A rollup's *admin*
/// names the addresses that may submit batches.
///
/// Terms: a *member id* is keccak256 of the member's padded key; a *key* is a G2 point of 256 bytes as EIP-2537 reads it; a *proof* is a G1
/// point of 128 bytes; times are Unix seconds.
///
/// What an ended epoch can do: vouch for what is kept no longer than its end plus `retentionSecondsMax`, until then. A quorum
/// of its keys has that power as long, since signatures carry no time: members guard them until they are released.
///
/// What the owner cannot do: change or remove an epoch that has begun, shorten the delay before one begins, or seat a key without
/// proof. What nobody can: pause certificates. Renouncing ownership is refused, since a committee that cannot change ends badly.
///
/// Errors declared elsewhere: OpenZeppelin's of ownership (`OwnableUnauthorizedAccount` from all that is the owner's,
/// `OwnableInvalidOwner` from the constructor); {EpochBlob-BlobNotCreated}; {BLS12381-PrecompileRefused}, on a chain without the
/// precompiles of EIP-2537. Two are in the ABI only: {BLS12381-SuiteTooLong}, since the suite is a constant of 43 bytes, and
/// `SafeCastOverflowedUintDowncast`, since no offset in a blob passes 24,576.
interface ICommitteeRegistry {
    /// @notice How a member is reached. Not checked here: members and clients do.
    struct Contact {
        /// For people.
        string name;
        /// libp2p peer id, base58.
        string peerId;
        /// Multiaddresses, best first.
        string[] addresses;
        /// Base URL of the HTTP interface.
        string api;
    }

    /// @notice The committee of one epoch.
    struct Announcement {
        /// Above every number used before.
        uint64 epoch;
        /// Any `k` shards rebuild a batch.
        uint16 minimumShards;
        /// Signatures that make a certificate.
        uint16 quorum;
        /// First second of the epoch.
        uint48 activatesAt;
        /// In seat order, 1 to 256, each once.
        bytes32[] members;
        /// The padded keys of those members whose keys are not stored yet, in seat order, at most 96.
        bytes newKeys;
    }

    /// @notice What a rollup may ask of the committee.
    struct Quota {
        /// Largest batch.
        uint64 batchBytesMax;
        /// Bytes of all batches in a day.
        uint64 bytesPerDay;
        /// Longest retention, counted from the submission.
        uint64 retentionSecondsMax;
    }

    // Registration

    /// @notice A key was registered. The proof is here for those who keep committees off chain.
    event MemberRegistered(
        bytes32 indexed memberId, address indexed operator, bytes key, bytes proof, Contact contact
    );
    /// @notice A member is reached elsewhere now.
    event ContactChanged(bytes32 indexed memberId, Contact contact);
    /// @notice A member takes no seat in later epochs. In epochs already announced it stays.
    event MemberRetired(bytes32 indexed memberId);

    /// @notice A key or proof has another length.
    error WrongPointLength(uint256 bytesFound, uint256 bytesExpected);
    /// @notice The key is infinity: it would sign for nobody, and for everybody.
    error KeyAtInfinity();
    /// @notice The proof is infinity.
    error ProofAtInfinity();
    /// @notice Key or proof is no point, or not of its subgroup.
    error InvalidPoint();
    /// @notice Whoever made the proof does not hold the secret of this key, or proved it to another registry, chain or
    /// operator.
    error FalseProofOfPossession();
    /// @notice The key is registered already.
    error KeyAlreadyRegistered(bytes32 memberId);
    /// @notice A contact has at most 8 addresses and 1,024 bytes of text.
    error ContactTooLong(uint256 addresses, uint256 bytesFound);
    /// @notice No such member.
    error UnknownMember(bytes32 memberId);
    /// @notice Only the member's operator.
    error NotOperator(bytes32 memberId, address caller);

    /// @notice Registers the caller's key. About 186,000 gas for a whole transaction: snapshots/gas.json.
    /// @param key Padded, 256 bytes.
    /// @param proof Signature under the suite of possession proofs over `keccak256(abi.encode(uint64 chainId, address
    /// registry, address operator, bytes32 memberId))`, padded, 128 bytes.
    /// @dev {BLS12381-PrecompileRefused} on a chain without the precompiles. Gas that runs out in the pairing is {InvalidPoint}.
    function register(bytes calldata key, bytes calldata proof, Contact calldata contact)
        external
        returns (bytes32 memberId);

    /// @notice Says how the member is reached now.
    function setContact(bytes32 memberId, Contact calldata contact) external;

    /// @notice Takes the member out of later epochs, for ever. It serves what it signed until its last epoch is released.
    function retire(bytes32 memberId) external;

    // Epochs

    /// @notice The next committee. Keys of `newKeys` are in the call data of this event's transaction.
    event EpochAnnounced(
        uint64 indexed epoch,
        bytes32 committeeHash,
        uint16 minimumShards,
        uint16 quorum,
        uint48 activatesAt,
        bytes32[] members
    );
    /// @notice An epoch that had not begun will not begin.
    event EpochCancelled(uint64 indexed epoch);
    /// @notice Keys were stored ahead of an announcement.
    event KeysStored(address indexed blob, uint256 keys);

    /// @notice Epoch numbers rise.
    error EpochNotAbove(uint256 epoch, uint256 numbered);
    /// @notice Epoch numbers rise by at most 2^32 at once: they are never used twice, and must not run out.
    error EpochTooFar(uint256 epoch, uint256 latestNumber);
    /// @notice One epoch at a time is announced and not active.
    error EpochPending(uint64 epoch);
    /// @notice Only an epoch that has not begun can be cancelled.
    error EpochNotPending(uint64 epoch);
    /// @notice Users get the delay to leave.
    error ActivationTooEarly(uint256 activatesAt, uint256 earliest);
    /// @notice More than a year after it could begin: a mistake in units.
    error ActivationTooLate(uint256 activatesAt, uint256 latest);
    /// @notice `1 <= k <= q <= n <= 256` does not hold.
    error InvalidThresholds(uint256 members, uint256 minimumShards, uint256 quorum);
    /// @notice A member twice in one committee.
    error DuplicateMember(bytes32 memberId);
    /// @notice The member has retired.
    error Retired(bytes32 memberId);
    /// @notice `newKeys` does not hold the key of this member where it belongs, or holds one more.
    error NewKeyMismatch(bytes32 memberId, bytes32 found);
    /// @notice More keys than a blob holds: store some before.
    error TooManyNewKeys(uint256 found, uint256 keysMax);
    /// @notice The stored keys are spread over more blobs than an epoch can name.
    error TooManyBlobs(uint256 found, uint256 blobsMax);
    /// @notice The key of this member is stored already.
    error KeyAlreadyStored(bytes32 memberId);
    /// @notice The keys sum to infinity.
    error KeysCancel();
    /// @notice No such seat in this committee.
    error UnknownSeat(uint256 seat, uint256 members);
    /// @notice No such epoch, or cancelled.
    error UnknownEpoch(uint256 epoch);
    /// @notice The epoch has not begun.
    error EpochNotActive(uint256 epoch, uint256 activatesAt);
    /// @notice No rollup is kept that long from now: no honest member signed it. A rollup that asks for the longest retention
    /// leaves room for the difference between members' clocks and the block's.
    error RetentionTooLong(uint256 retainUntil, uint256 latestRetention);
    /// @notice The epoch has ended and cannot vouch for data kept that long: no honest member signed it.
    error EpochSuperseded(uint256 epoch, uint256 retainUntil, uint256 latestRetention);

    /// @notice Announces the committee of the next epoch. Owner only.
    /// @dev {EpochBlob-BlobNotCreated} when the gas runs out in writing the epoch's blob; {BLS12381-PrecompileRefused} on a chain
    /// without the precompiles.
    function announce(Announcement calldata announcement) external;

    /// @notice Takes back an announcement. Owner only.
    function cancel(uint64 epoch) external;

    /// @notice Stores keys of registered members ahead of an announcement with more than 96 new ones. Owner only.
    /// @dev {EpochBlob-BlobNotCreated} when the gas runs out in writing the blob.
    /// @param keys Padded, 1 to 96.
    function storeKeys(bytes calldata keys) external;

    // Rollups

    /// @notice A rollup is served, or under other terms.
    event RollupSet(bytes32 indexed rollupId, address indexed admin, Quota quota);
    /// @notice A rollup is not served any more. What was certified stays certified.
    event RollupRemoved(bytes32 indexed rollupId);
    /// @notice An address may submit for a rollup, or no longer.
    event SubmitterSet(bytes32 indexed rollupId, address indexed submitter, bool allowed);

    /// @notice No such rollup.
    error UnknownRollup(bytes32 rollupId);
    /// @notice Only the rollup's admin.
    error NotRollupAdmin(bytes32 rollupId, address caller);
    /// @notice A rollup needs an admin, and a quota within what the committee gives.
    error InvalidRollup(bytes32 rollupId);
    /// @notice The zero address signs for nobody, and a failed recovery gives it.
    error InvalidSubmitter(bytes32 rollupId);

    /// @notice Serves a rollup, or changes its terms. Another admin begins without submitters. Owner only.
    function setRollup(bytes32 rollupId, address admin, Quota calldata quota) external;

    /// @notice Stops serving a rollup and forgets its submitters. Owner only.
    function removeRollup(bytes32 rollupId) external;

    /// @notice Lets an address submit for the caller's rollup, or not.
    function setSubmitter(bytes32 rollupId, address submitter, bool allowed) external;

    // Reading

    /// @notice Ownership cannot be renounced.
    error OwnerRequired();
    /// @notice The delays are zero, or absurd.
    error InvalidPeriods(uint256 announcementDelaySeconds, uint256 retentionSecondsMax);

    /// @notice Least time between an announcement and its activation.
    function announcementDelaySeconds() external view returns (uint256);

    /// @notice Longest retention of any rollup; a member that left serves this long after its last epoch ended.
    function retentionSecondsMax() external view returns (uint256);

    /// @notice When an epoch is, and where its committee is kept. Zero for an unknown one.
    /// @dev The verifier asks this for every certificate; the name has the lowest selector here, so it is found first.
    function scheduleOf(uint64 epoch) external view returns (EpochRecord);

    /// @notice The epoch that is active, zero before the first; the one announced last; the highest number ever used.
    function epochs() external view returns (uint64 current, uint64 latest, uint64 numbered);

    /// @notice Hash and thresholds of an epoch's committee.
    function committee(uint64 epoch)
        external
        view
        returns (bytes32 committeeHash, uint16 members, uint16 minimumShards, uint16 quorum);

    /// @notice The sum of all keys of an epoch's committee, padded.
    function aggregateKey(uint64 epoch) external view returns (bytes memory);

    /// @notice The key in a seat, padded.
    function keyOf(uint64 epoch, uint16 seat) external view returns (bytes memory);

    /// @notice Who registered a member, whether it retired, and whether its key is stored already. Zero for an unknown one.
    function member(bytes32 memberId) external view returns (address operator, bool retired, bool stored);

    /// @notice A rollup's admin and quota. Zero for an unknown one.
    function rollup(bytes32 rollupId) external view returns (address admin, Quota memory quota);

    /// @notice Whether an address may submit for a rollup.
    function isSubmitter(bytes32 rollupId, address submitter) external view returns (bool);

    /// @notice The EIP-712 domain separator of statements and submissions.
    function domainSeparator() external view returns (bytes32);

    /// @notice What a proof of possession signs.
    function possessionDigest(address operator, bytes32 memberId) external view returns (bytes32);
}
