#pragma once

namespace vpnd::driver {

// Measures parts of the engine by themselves; prints one JSON object a line. 0: all could be measured.
int bench_micro();

}  // namespace vpnd::driver
