#pragma once

namespace vpnd::driver {

// A long cable, for kernels without netem: `arguments` are `count` times DEVICE DEVICE MILLISECONDS; frames that come in at one
// device leave by the other so much later. Says "ready", runs until SIGTERM, then says what it carried. Returns an exit code.
int bench_delay(int count, char** arguments);

}  // namespace vpnd::driver
