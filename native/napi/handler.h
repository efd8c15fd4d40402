// Calls of JavaScript that our threads asked for.
#pragma once
#include <napi.h>

#include <initializer_list>

namespace vpnd::face {

// Calls a handler; what it throws becomes an uncaughtException, as with any other callback: left pending, it would only be warned of
// (DEP0168). False: JavaScript can run no more here. By the plain interface: a worker may be terminated within the call, and the C++ one
// aborts the process when it cannot throw.
bool call_handler(napi_env env, napi_value handler, std::initializer_list<napi_value> arguments) noexcept;

}  // namespace vpnd::face
