// One round of Keccak-f[1600], written from FIPS 202 section 3.2 without a look at the cores: for the proof of equality.
//
// The state is a string S of 1600 bits; A[x, y, z] = S[64 (5 y + x) + z] (section 3.1.2).

module keccak_round_fips202(input [1599:0] before, input [1087:0] block, input fresh, input [4:0] ir, output [1599:0] after);
    // Absorption (section 4): the block, followed by zeros, is added to the state, or to the zero state.
    wire [1599:0] s = (fresh ? 1600'd0 : before) ^ {512'd0, block};
    wire [1599:0] theta, rho, chi;

    // The offset of rho for lane (x, y) (algorithm 2).
    function integer offset(input integer x, input integer y);
        integer t, u, v, w;
        begin
            offset = 0;
            u = 1;
            v = 0;
            for (t = 0; t <= 23; t = t + 1) begin
                if (u == x && v == y) offset = ((t + 1) * (t + 2) / 2) % 64;
                w = v;
                v = (2 * u + 3 * v) % 5;
                u = w;
            end
        end
    endfunction

    genvar x, y, z, n, t;
    generate
        // Algorithm 5: rc(t) is lfsr[t].r[0]. R = 0 || R, then R[0], R[4], R[5], R[6] take R[8] in, then the first eight bits.
        for (t = 0; t < 168; t = t + 1) begin : lfsr
            wire [7:0] r;
            if (t == 0) assign r = 8'b00000001;
            else assign r = {lfsr[t-1].r[6:0], 1'b0} ^ (lfsr[t-1].r[7] ? 8'b01110001 : 8'b0);
        end
        for (x = 0; x < 5; x = x + 1) begin : gx
            wire [63:0] c;
            for (z = 0; z < 64; z = z + 1) begin : gz
                // Algorithm 1, step 1.
                assign c[z] = s[64*x + z] ^ s[64*(5 + x) + z] ^ s[64*(10 + x) + z] ^ s[64*(15 + x) + z] ^ s[64*(20 + x) + z];
            end
        end
        for (x = 0; x < 5; x = x + 1) begin : hx
            for (z = 0; z < 64; z = z + 1) begin : hz
                // Algorithm 1, step 2.
                wire d = gx[(x + 4) % 5].c[z] ^ gx[(x + 1) % 5].c[(z + 63) % 64];
            end
            for (y = 0; y < 5; y = y + 1) begin : hy
                localparam OFFSET = offset(x, y);
                wire [63:0] pi;
                for (z = 0; z < 64; z = z + 1) begin : lane
                    assign theta[64*(5*y + x) + z] = s[64*(5*y + x) + z] ^ hx[x].hz[z].d;
                    // Algorithm 2, step 3a: A'[x, y, z] = A[x, y, (z - offset) mod w].
                    assign rho[64*(5*y + x) + z] = theta[64*(5*y + x) + (z + 64 - OFFSET) % 64];
                    // Algorithm 3: A'[x, y, z] = A[(x + 3 y) mod 5, x, z].
                    assign pi[z] = rho[64*(5*x + (x + 3*y) % 5) + z];
                    // Algorithm 4.
                    assign chi[64*(5*y + x) + z] =
                        pi[z] ^ ((hx[(x + 1) % 5].hy[y].pi[z] ^ 1'b1) & hx[(x + 2) % 5].hy[y].pi[z]);
                end
            end
        end
        assign after[1599:64] = chi[1599:64];
        for (z = 0; z < 64; z = z + 1) begin : iota
            // Algorithm 6: RC[2^j - 1] = rc(j + 7 ir).
            if (z == 0 || z == 1 || z == 3 || z == 7 || z == 15 || z == 31 || z == 63) begin : set
                localparam J = z == 0 ? 0 : z == 1 ? 1 : z == 3 ? 2 : z == 7 ? 3 : z == 15 ? 4 : z == 31 ? 5 : 6;
                wire [31:0] by_round;
                for (n = 0; n < 32; n = n + 1) begin : round
                    if (n < 24) assign by_round[n] = lfsr[J + 7*n].r[0];
                    else assign by_round[n] = 0;
                end
                assign after[z] = chi[z] ^ by_round[ir];
            end else begin : clear
                assign after[z] = chi[z];
            end
        end
    endgenerate
endmodule
