#pragma once

namespace vpnd::driver {

// Measures parts of the engine by themselves; prints one JSON object a line. 0: all could be measured.
int bench_micro();

// Of these: splitting and merging. False: something could not be measured.
bool bench_offload();

}  // namespace vpnd::driver
