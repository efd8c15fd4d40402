// Descriptors for TypeScript: TUN devices, sockets, locks, credentials.
#pragma once
#include <napi.h>

namespace vpnd::face {

void export_system(Napi::Env env, Napi::Object exports);

}  // namespace vpnd::face
