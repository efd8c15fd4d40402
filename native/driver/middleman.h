// A member of the mesh that stands between two others: it ends DTLS with both, for it has the PSK, and hands each the HELLO of
// the other unchanged. For tests; it reads what to do from standard input.
#pragma once

namespace vpnd::driver {

// Lines "psk HEX", "identity HEX" (DTLS PSK and identity key), "listen PORT", "target ADDR:PORT" (the node to be dialled),
// "server ADDR:PORT" and "heartbeat JSON" (sent there every second); then end of file. Runs until it is killed; 2: bad input.
int middleman();

}  // namespace vpnd::driver
