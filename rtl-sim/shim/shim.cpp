// The C side of the simulation: one Verilated top, its clock, and the AXI handshakes.
//
// Promise: AXI4-Stream and AXI4-Lite as the standards want them: VALID once raised stays with its data until READY;
// nothing here looks at READY before it raises VALID. What the host gives and takes is counted in whole 64-bit words.
//
// Stalls: with a probability in 256ths the host does not offer a word, or does not take one, in a clock. The same seed
// gives the same clocks.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#if RTL_SIM_TRACE
#include "verilated_fst_c.h"
#endif

namespace {

constexpr int RESET_CLOCKS = 8;

struct Simulation {
    std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    std::unique_ptr<Vtop> top;
#if RTL_SIM_TRACE
    std::unique_ptr<VerilatedFstC> trace;
#endif
    uint64_t clocks = 0;
    uint64_t random = 0;
    uint32_t stall_input = 0;
    uint32_t stall_output = 0;
    // The word that is offered to the design.
    uint64_t held = 0;
    bool has_held = false;

    bool stalls(uint32_t in_256) {
        if (in_256 == 0) return false;
        // xorshift64 (Marsaglia 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return (random >> 32 & 255) < in_256;
    }

    void dump(int phase) {
#if RTL_SIM_TRACE
        if (trace) trace->dump(2 * clocks + phase);
#else
        (void)phase;
#endif
    }

    // Lets what depends on the inputs settle; after it the handshakes of this clock are decided.
    void settle() {
        top->clk = 0;
        top->eval();
        dump(0);
    }

    void edge() {
        top->clk = 1;
        top->eval();
        dump(1);
        ++clocks;
    }

    void quiet_inputs() {
        top->s_axis_tvalid = 0;
        top->m_axis_tready = 0;
        top->s_axil_awvalid = 0;
        top->s_axil_wvalid = 0;
        top->s_axil_bready = 0;
        top->s_axil_arvalid = 0;
        top->s_axil_rready = 0;
    }

    void reset() {
        quiet_inputs();
        has_held = false;
        top->rst = 1;
        for (int clock = 0; clock < RESET_CLOCKS; ++clock) {
            settle();
            edge();
        }
        top->rst = 0;
        settle();
        edge();
    }

    // One clock of both streams. Returns whether a word came out.
    bool stream(bool take, uint64_t* word) {
        if (has_held) top->s_axis_tdata = held;
        top->s_axis_tvalid = has_held;
        top->m_axis_tready = take;
        settle();
        const bool came = take && top->m_axis_tvalid;
        if (came) *word = top->m_axis_tdata;
        if (has_held && top->s_axis_tready) has_held = false;
        edge();
        return came;
    }

    // A clock in which the host neither offers a new word nor takes one.
    void register_clock() {
        if (has_held) top->s_axis_tdata = held;
        top->s_axis_tvalid = has_held;
        top->m_axis_tready = 0;
        settle();
        if (has_held && top->s_axis_tready) has_held = false;
    }
};

// A register file without byte strobes has no such port.
template <typename Top>
void strobe_all(Top& top) {
    if constexpr (requires { top.s_axil_wstrb; }) top.s_axil_wstrb = 15;
}

}  // namespace

extern "C" {

void* rtl_sim_new(uint64_t seed, uint32_t stall_input, uint32_t stall_output, const char* trace) {
    auto simulation = std::make_unique<Simulation>();
#if RTL_SIM_TRACE
    simulation->context->traceEverOn(trace != nullptr);
#endif
    simulation->top = std::make_unique<Vtop>(simulation->context.get(), "top");
#if RTL_SIM_TRACE
    if (trace != nullptr) {
        simulation->trace = std::make_unique<VerilatedFstC>();
        simulation->top->trace(simulation->trace.get(), 99);
        simulation->trace->open(trace);
    }
#else
    if (trace != nullptr) return nullptr;
#endif
    simulation->random = seed | 1;
    simulation->stall_input = stall_input;
    simulation->stall_output = stall_output;
    simulation->reset();
    return simulation.release();
}

void rtl_sim_free(void* handle) {
    auto* simulation = static_cast<Simulation*>(handle);
    simulation->top->final();
#if RTL_SIM_TRACE
    if (simulation->trace) simulation->trace->close();
#endif
    delete simulation;
}

void rtl_sim_reset(void* handle) { static_cast<Simulation*>(handle)->reset(); }

// The host gives up the word that it offers. Only in a reset: at any other time VALID stays until READY.
void rtl_sim_withdraw(void* handle) {
    auto& simulation = *static_cast<Simulation*>(handle);
    simulation.has_held = false;
    simulation.top->s_axis_tvalid = 0;
}

uint64_t rtl_sim_clocks(void* handle) { return static_cast<Simulation*>(handle)->clocks; }

// Runs until `clocks` have passed, or the output is full, or the input is used up and nothing came for `quiet` clocks.
// `taken` and `came` count words.
void rtl_sim_run(void* handle, const uint8_t* input, size_t input_words, uint8_t* output, size_t output_words,
                 uint64_t clocks, uint64_t quiet, size_t* taken, size_t* came) {
    auto& simulation = *static_cast<Simulation*>(handle);
    size_t next = 0, got = 0;
    uint64_t silent = 0;
    for (uint64_t clock = 0; clock < clocks && got < output_words && silent < quiet; ++clock) {
        if (!simulation.has_held && next < input_words && !simulation.stalls(simulation.stall_input)) {
            std::memcpy(&simulation.held, input + 8 * next, 8);
            simulation.has_held = true;
            ++next;
        }
        const bool take = !simulation.stalls(simulation.stall_output);
        uint64_t word = 0;
        const bool is_word = simulation.stream(take, &word);
        if (is_word) {
            std::memcpy(output + 8 * got, &word, 8);
            ++got;
        }
        const bool is_input = next < input_words;
        silent = is_word || is_input ? 0 : silent + 1;
    }
    *taken = next;
    *came = got;
}

// Returns 0 when the register was read with an OKAY response in `clocks`, 1 when nothing answered, 2 for another
// response.
int rtl_sim_read(void* handle, uint32_t address, uint64_t clocks, uint32_t* value) {
    auto& simulation = *static_cast<Simulation*>(handle);
    auto& top = *simulation.top;
    bool is_asked = false;
    int result = 1;
    for (uint64_t clock = 0; clock < clocks && result == 1; ++clock) {
        top.s_axil_araddr = address;
        top.s_axil_arvalid = !is_asked;
        top.s_axil_rready = 1;
        simulation.register_clock();
        const bool answered = top.s_axil_rvalid;
        if (answered) {
            *value = top.s_axil_rdata;
            result = top.s_axil_rresp == 0 ? 0 : 2;
        }
        is_asked = is_asked || top.s_axil_arready;
        simulation.edge();
    }
    top.s_axil_arvalid = 0;
    top.s_axil_rready = 0;
    return result;
}

// As rtl_sim_read.
int rtl_sim_write(void* handle, uint32_t address, uint32_t value, uint64_t clocks) {
    auto& simulation = *static_cast<Simulation*>(handle);
    auto& top = *simulation.top;
    bool is_addressed = false, is_given = false;
    int result = 1;
    for (uint64_t clock = 0; clock < clocks && result == 1; ++clock) {
        top.s_axil_awaddr = address;
        top.s_axil_awvalid = !is_addressed;
        top.s_axil_wdata = value;
        strobe_all(top);
        top.s_axil_wvalid = !is_given;
        top.s_axil_bready = 1;
        simulation.register_clock();
        if (top.s_axil_bvalid) result = top.s_axil_bresp == 0 ? 0 : 2;
        is_addressed = is_addressed || top.s_axil_awready;
        is_given = is_given || top.s_axil_wready;
        simulation.edge();
    }
    top.s_axil_awvalid = 0;
    top.s_axil_wvalid = 0;
    top.s_axil_bready = 0;
    return result;
}

}  // extern "C"
