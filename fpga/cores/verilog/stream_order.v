// What is proved of a stream's buffer: nothing is lost, repeated or reordered, and an offer stands until it is taken.
//
// The beats that enter are numbered by their data. A buffer moves data without looking at it, so what holds for numbers holds
// for any data: the n-th beat that leaves must be number n. DUT and CAPACITY (beats that fit inside) are set by who reads this.
//
// Numbers are modulo 256. Never more than CAPACITY beats are inside, so a number says which beat it is.

module stream_order(input clk, input offers, input takes, input resets);
    reg started = 0;
    always @(posedge clk) started <= 1;
    wire reset = resets || !started;

    reg [7:0] entered, left;
    wire [7:0] inside = entered - left;
    wire sink_ready, source_valid;
    wire [63:0] source_data;
    wire enters = offers && sink_ready && !reset;
    wire leaves = source_valid && takes && !reset;

    `DUT dut(
        .clock(clk), .reset(reset),
        .sink$data({56'd0, entered}), .sink$valid(offers), .sink$ready(sink_ready),
        .source$data(source_data), .source$valid(source_valid), .source$ready(takes)
    );

    always @(posedge clk) begin
        entered <= reset ? 0 : entered + enters;
        left <= reset ? 0 : left + leaves;
    end

    // The beats in the buffer's registers and memory, first to last: where `is_held[i]`, `held[64 * i +: 64]` must be number
    // left + i. That is asserted, not assumed; the proof for all time needs it, because it starts from any state.
    wire [`CAPACITY-1:0] is_held;
    wire [64*`CAPACITY-1:0] held;
    wire state_holds;
`include "state.v"
    integer i;

    reg stood = 0;
    always @(posedge clk) stood <= source_valid && !takes && !reset;

    always @(posedge clk) if (started && !reset) begin
        // Order: what is offered is the next number, and it has entered.
        if (source_valid) assert (source_data == {56'd0, left} && left != entered);
        // Loss: no more is inside than fits, and a buffer with room takes.
        assert (inside <= `CAPACITY);
        if (entered == left) assert (sink_ready);
        // An offer stands.
        if (stood) assert (source_valid);
        // The same of the inside.
        assert (state_holds);
        for (i = 0; i < `CAPACITY; i = i + 1) begin
            assert (is_held[i] == (i < inside));
            if (is_held[i]) assert (held[64*i +: 64] == ((left + i) & 255));
        end
        // Not vacuous: it fills up, and it empties again.
        cover (inside == `CAPACITY && left > 2);
        cover (entered == left && left > `CAPACITY);
    end

    // What is inside comes out: with takes for three clocks, something leaves.
    reg [2:0] waited = 0;
    always @(posedge clk) begin
        waited <= (reset || !takes || source_valid || entered == left) ? 0 : waited + 1;
        if (started && !reset) assert (waited < 4);
    end
endmodule
