#include "waker.h"

#include <string>
#include <utility>

#include "arguments.h"

namespace vpnd::face {

bool Waker::make(Napi::Env env, Napi::Value callback, const char* name, const char* what, napi_threadsafe_function_call_js run, void* owner) {
  if (!callback.IsFunction()) {
    throw_type_error(env, std::string(name) + " must be a function");
    return false;
  }
  env_ = env;
  // A queue of one: a call that waits will find what all calls refused meanwhile were for.
  if (napi_create_threadsafe_function(env, callback, nullptr, Napi::String::New(env, what), 1, 1, nullptr, nullptr, owner, run, &function_) !=
      napi_ok) {
    Napi::Error::New(env, "no thread-safe function").ThrowAsJavaScriptException();
    return false;
  }
  napi_unref_threadsafe_function(env, function_);
  return true;
}

// Hooks run last in, first out: this one before that of the thread-safe function, so the threads end before it goes.
void Waker::hook(napi_cleanup_hook end, void* owner) {
  owner_ = owner;
  if (napi_add_env_cleanup_hook(env_, end, owner) == napi_ok) end_ = end;
}

void Waker::unhook() {
  if (end_) napi_remove_env_cleanup_hook(env_, std::exchange(end_, nullptr), owner_);
}

std::function<void()> Waker::call() const {
  return [function = function_] { napi_call_threadsafe_function(function, nullptr, napi_tsfn_nonblocking); };
}

void Waker::again() const { napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking); }

void Waker::release() {
  if (function_) napi_release_threadsafe_function(std::exchange(function_, nullptr), napi_tsfn_abort);
}

}  // namespace vpnd::face
