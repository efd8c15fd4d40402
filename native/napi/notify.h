// Messages to the service manager, for TypeScript.
#pragma once
#include <napi.h>

namespace vpnd::face {

void export_notify(Napi::Env env, Napi::Object exports);

}  // namespace vpnd::face
