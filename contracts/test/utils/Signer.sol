// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { BLS12381, G1 } from "../../src/libraries/BLS12381.sol";

/// @notice Keys and signatures out of the multiplication precompiles: another implementation than blst's.
library Signer {
    bytes internal constant SIGNATURE_SUITE = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    bytes internal constant POSSESSION_SUITE = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    address private constant MODEXP = address(0x05);
    address private constant G1MSM = address(0x0c);
    address private constant G2MSM = address(0x0e);

    /// The field modulus, its half, and its quarter, rounded up: RFC 9380 names the first, the others follow.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    uint256 private constant HALF_HIGH = 0xd0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;
    bytes private constant ROOT_EXPONENT =
        hex"0680447a8e5ff9a692c6e9ed90d2eb35d91dd2e13ce144afd9cc34a83dac3d8907aaffffac54ffffee7fbfffffffeaab";

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

    /// @notice The padded form of a compressed G1 point: of the roots of `x^3 + 4` the one that its flag names.
    /// @dev What is no point of the curve stays none.
    function decompress(bytes memory compressed) internal view returns (bytes memory) {
        require(compressed.length == 48 && uint8(compressed[0]) >> 6 == 2, "compressed");
        bool larger = uint8(compressed[0]) & 0x20 != 0;
        bytes memory x = bytes.concat(bytes16(0), compressed);
        x[16] &= 0x1f;
        (uint256 high, uint256 low) = power(x, hex"03");
        unchecked {
            low += 4;
            if (low < 4) ++high;
        }
        // The modulus is 3 mod 4: a root is the power of (modulus + 1) / 4.
        (high, low) = power(abi.encode(high, low), ROOT_EXPONENT);
        if ((high > HALF_HIGH || (high == HALF_HIGH && low > HALF_LOW)) != larger) {
            unchecked {
                high = P_HIGH - high - (low > P_LOW ? 1 : 0);
                low = P_LOW - low;
            }
        }
        return bytes.concat(x, abi.encode(high, low));
    }

    /// @dev A power of a coordinate of 64 bytes, as two words.
    function power(bytes memory base, bytes memory exponent) private view returns (uint256, uint256) {
        bytes memory lengths = abi.encode(64, exponent.length, 64);
        (bool done, bytes memory result) =
            MODEXP.staticcall(bytes.concat(lengths, base, exponent, abi.encode(P_HIGH, P_LOW)));
        require(done && result.length == 64, "power");
        return abi.decode(result, (uint256, uint256));
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
