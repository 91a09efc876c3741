// The Keccak core between registers, with four pins: for measuring its clock.
//
// With the core's own 140 ports at the pins the placer stretches it over the whole chip, and the figure says more about
// the pads than about the core. The registers here are not counted in its area.

module keccak_measured(clk, rst, serial_in, serial_out);
    input wire clk;
    input wire rst;
    input wire serial_in;
    output reg serial_out;

    reg rst_near, rst_here;
    reg [70:0] entering;
    reg [67:0] leaving;
    reg [67:0] folded;
    wire in_ready, out_valid, out_last, waiting;
    wire [63:0] out_data;

    always @(posedge clk) begin
        rst_near <= rst;
        rst_here <= rst_near;
        entering <= {entering[69:0], serial_in};
        leaving <= {in_ready, out_valid, out_last, waiting, out_data};
        folded <= {1'b0, folded[67:1]} ^ leaving;
        serial_out <= folded[0];
    end

    keccak_core core(
        .clock(clk), .reset(rst_here),
        .in_valid(entering[0]), .in_ready(in_ready), .in_data(entering[64:1]), .in_bytes(entering[67:65]),
        .in_last(entering[68]), .in_pass(entering[69]),
        .out_valid(out_valid), .out_ready(entering[70]), .out_data(out_data), .out_last(out_last), .waiting(waiting)
    );
endmodule
