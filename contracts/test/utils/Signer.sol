// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { BLS12381, G1 } from "../../src/libraries/BLS12381.sol";

/// @notice Keys and signatures out of the multiplication precompiles: another implementation than blst's.
library Signer {
    bytes internal constant SIGNATURE_SUITE = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    bytes internal constant POSSESSION_SUITE = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    address private constant G1MSM = address(0x0c);
    address private constant G2MSM = address(0x0e);

    /// @notice The padded public key of a secret.
    function key(uint256 secret) internal view returns (bytes memory) {
        return multiply(G2MSM, bytes.concat(generatorX(), generatorY()), secret);
    }

    /// @notice The padded signature of a digest.
    function sign(uint256 secret, bytes32 digest, bytes memory suite) internal view returns (bytes memory) {
        return multiply(G1MSM, hash(bytes.concat(digest), suite), secret);
    }

    /// @notice `hash_to_curve`, padded.
    function hash(bytes memory message, bytes memory suite) internal view returns (bytes memory point) {
        point = new bytes(128);
        uint256 where;
        assembly ("memory-safe") {
            where := add(point, 32)
        }
        BLS12381.hashToG1(message, suite, G1.wrap(where));
    }

    function multiply(address precompile, bytes memory point, uint256 scalar) internal view returns (bytes memory) {
        (bool done, bytes memory product) = precompile.staticcall(bytes.concat(point, bytes32(scalar)));
        require(done && product.length == point.length, "multiplication");
        return product;
    }

    function generatorX() private pure returns (bytes memory) {
        return hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e";
    }

    function generatorY() private pure returns (bytes memory) {
        return hex"000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";
    }
}
