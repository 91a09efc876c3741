// The C side of modules that are simulated alone: every port can be set or read, and nothing happens in between.
//
// INPUTS and OUTPUTS list the ports' numbers; `Parts::build` defines them in front of this text. A port is 64 bits or less.

#include <cstdint>
#include <memory>

#include "Vtop.h"
#include "verilated.h"

namespace {

struct Parts {
    std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    std::unique_ptr<Vtop> top{new Vtop{context.get(), "top"}};
};

}  // namespace

extern "C" {

void* rtl_sim_parts_new() { return new Parts; }

void rtl_sim_parts_free(void* handle) {
    auto* parts = static_cast<Parts*>(handle);
    parts->top->final();
    delete parts;
}

void rtl_sim_parts_set(void* handle, uint32_t port, uint64_t value) {
    auto& top = *static_cast<Parts*>(handle)->top;
#define SET(number) case number: top.p##number = value; break;
    switch (port) { INPUTS(SET) }
}

uint64_t rtl_sim_parts_get(void* handle, uint32_t port) {
    auto& top = *static_cast<Parts*>(handle)->top;
#define GET(number) case number: return top.p##number;
    switch (port) { OUTPUTS(GET) }
    return 0;
}

void rtl_sim_parts_settle(void* handle) { static_cast<Parts*>(handle)->top->eval(); }

}  // extern "C"
