// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Where signatures count: one chain and one registry
/// @notice The EIP-712 domain of PROTOCOL section 4 and the digests in it.
library SigningDomain {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("Validium DAC");
    bytes32 private constant VERSION_HASH = keccak256("1");

    /// @notice The domain separator of `registry` on this chain.
    function separator(address registry) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, block.chainid, registry));
    }

    /// @notice What a proof of possession signs. Bound to chain, registry and operator, so that nobody can copy one.
    function possessionDigest(address registry, address operator, bytes32 memberId) internal view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, registry, operator, memberId));
    }
}
