#pragma once

namespace vpnd::driver {

// Sends packets of 1400 bytes from one engine to another in this process, for profilers. 0: all that was sent was counted.
int bench(unsigned packets);

}  // namespace vpnd::driver
