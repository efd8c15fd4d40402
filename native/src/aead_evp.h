// Record protection by OpenSSL: every cipher, every machine, and the reference for the faster one.
#pragma once
#include <string>

#include "aead.h"

namespace vpnd {

// A lane that finds no memory seals and opens nothing.
std::unique_ptr<Aead> make_evp_aead(Cipher cipher, const uint8_t* key, Aead::Direction direction, unsigned lanes);

// Such as "OpenSSL 3.0.15".
std::string evp_name();

}  // namespace vpnd
