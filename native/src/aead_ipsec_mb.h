// Record protection by libipsec-mb, with the widest vectors of the processor. Of all of vpnd only this file's source
// knows the library, and it may be built without.
#pragma once
#include <string>

#include "aead.h"

namespace vpnd {

// Why it can't serve on this machine, empty when it can.
std::string ipsec_mb_unusable();

// The two below only where it can serve.
// Such as "libipsec-mb 1.3.0 AVX512".
std::string ipsec_mb_name();
std::unique_ptr<Aead> make_ipsec_mb_aead(Cipher cipher, const uint8_t* key, Aead::Direction direction, unsigned lanes);

}  // namespace vpnd
