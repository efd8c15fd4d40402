// Whether an implementation of record protection may be trusted on this machine.
#pragma once
#include "aead.h"

namespace vpnd {

using MakeAead = std::unique_ptr<Aead> (*)(Cipher, const uint8_t* key, Aead::Direction, unsigned lanes);

// Every cipher at every short size and some long ones gives what OpenSSL gives, in place and not, and wrong tags are refused.
// Takes some milliseconds.
bool agrees_with_openssl(MakeAead make);

}  // namespace vpnd
