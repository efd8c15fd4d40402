#pragma once

namespace vpnd::driver {

// Two engines in this process talk over loopback, through a wire that the test may cut, bend and tap. 0: all as it should be.
int self_test();

}  // namespace vpnd::driver
