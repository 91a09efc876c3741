// The C side of the simulation: one Verilated top, its clock, and the AXI handshakes.
//
// Promise: AXI4-Stream and AXI4-Lite as the standards want them: VALID once raised stays with its data until READY;
// nothing here looks at READY before it raises VALID. What the host gives and takes is counted in whole 64-bit words.
//
// Stalls: with a probability in 256ths the host does not offer a word, or does not take one, in a clock. The same for
// registers: an address or data is not offered yet, an answer not taken. Each channel draws for itself, so a write's
// address comes before its data, behind it, or with it. The same seed gives the same clocks.

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

// After so many clocks what the waveform has so far is put into its file: a process that is killed leaves that.
[[maybe_unused]] constexpr uint64_t FLUSH_CLOCKS = 1 << 14;

// What becomes of a register's access.
constexpr int OKAY = 0, NO_ANSWER = 1, OTHER_RESPONSE = 2, BROKEN_HANDSHAKE = 3;

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
        if (!trace) return;
        trace->dump(2 * clocks + phase);
        if (phase == 1 && clocks % FLUSH_CLOCKS == 0) trace->flush();
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

    // The waveform ends here; what comes later is not in it.
    void end_trace() {
#if RTL_SIM_TRACE
        if (trace) trace->close();
        trace.reset();
#endif
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

// A request of the host on one channel of the registers: offered some time, then held until it is taken.
class Offer {
   public:
    explicit Offer(Simulation& simulation) : simulation_(simulation) {}

    // VALID in this clock.
    bool valid() {
        is_raised_ = is_raised_ || !simulation_.stalls(simulation_.stall_input);
        return is_raised_ && !is_taken_;
    }
    void clock(bool ready) { is_taken_ = is_taken_ || (is_raised_ && ready); }
    bool is_raised() const { return is_raised_; }
    bool is_taken() const { return is_taken_; }

   private:
    Simulation& simulation_;
    bool is_raised_ = false, is_taken_ = false;
};

// The answer to it: taken some time, and until then it must stay as it came. A host that stalls may also wait for the
// answer before it says that it takes it: an answer must not wait for that.
class Answer {
   public:
    explicit Answer(Simulation& simulation)
        : simulation_(simulation), comes_first_(simulation.stall_output > 0 && simulation.stalls(128)) {}

    // READY in this clock.
    bool ready() {
        is_ready_ = (is_here_ || !comes_first_) && !simulation_.stalls(simulation_.stall_output);
        return is_ready_;
    }
    // The host does not stall.
    bool is_awaited() const { return is_ready_ || (comes_first_ && !is_here_); }
    // Whether the answer is taken now, and how it went; `is_due` when all that it answers is taken.
    int clock(bool valid, uint32_t response, uint32_t data, bool is_due) {
        const bool is_other = !valid || response != response_ || data != data_;
        if ((valid && !is_due) || (is_here_ && is_other)) return BROKEN_HANDSHAKE;
        is_here_ = valid;
        response_ = response;
        data_ = data;
        if (!valid || !is_ready_) return NO_ANSWER;
        return response == 0 ? OKAY : OTHER_RESPONSE;
    }

   private:
    Simulation& simulation_;
    const bool comes_first_;
    bool is_ready_ = false, is_here_ = false;
    uint32_t response_ = 0, data_ = 0;
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
    simulation->end_trace();
    delete simulation;
}

void rtl_sim_end_trace(void* handle) { static_cast<Simulation*>(handle)->end_trace(); }

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

// Returns OKAY when the register was read with that response, NO_ANSWER when the design was waited for during `clocks`.
// Clocks in which the host itself stalls do not count.
int rtl_sim_read(void* handle, uint32_t address, uint64_t clocks, uint32_t* value) {
    auto& simulation = *static_cast<Simulation*>(handle);
    auto& top = *simulation.top;
    Offer asked{simulation};
    Answer answer{simulation};
    int result = NO_ANSWER;
    while (clocks > 0 && result == NO_ANSWER) {
        top.s_axil_araddr = address;
        top.s_axil_arvalid = asked.valid();
        top.s_axil_rready = answer.ready();
        simulation.register_clock();
        result = answer.clock(top.s_axil_rvalid, top.s_axil_rresp, top.s_axil_rdata, asked.is_taken());
        if (result == OKAY) *value = top.s_axil_rdata;
        asked.clock(top.s_axil_arready);
        if (asked.is_raised() && answer.is_awaited()) --clocks;
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
    Offer addressed{simulation}, given{simulation};
    Answer answer{simulation};
    int result = NO_ANSWER;
    while (clocks > 0 && result == NO_ANSWER) {
        top.s_axil_awaddr = address;
        top.s_axil_awvalid = addressed.valid();
        top.s_axil_wdata = value;
        strobe_all(top);
        top.s_axil_wvalid = given.valid();
        top.s_axil_bready = answer.ready();
        simulation.register_clock();
        result = answer.clock(top.s_axil_bvalid, top.s_axil_bresp, 0, addressed.is_taken() && given.is_taken());
        addressed.clock(top.s_axil_awready);
        given.clock(top.s_axil_wready);
        if (addressed.is_raised() && given.is_raised() && answer.is_awaited()) --clocks;
        simulation.edge();
    }
    top.s_axil_awvalid = 0;
    top.s_axil_wvalid = 0;
    top.s_axil_bready = 0;
    return result;
}

}  // extern "C"
