// How threads of ours get JavaScript to run, and how it ends with them.
#pragma once
#include <napi.h>

#include <functional>

namespace vpnd::face {

// The owner ends its threads first, then calls release().
class Waker {
 public:
  Waker() = default;
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  ~Waker() { unhook(); }

  // `run` is called with the environment, the callback and `owner`, by the event loop, which this keeps alive no longer than it
  // would be. `name` is the argument's, `what` the resource's. False: a JavaScript exception was thrown.
  bool make(Napi::Env env, Napi::Value callback, const char* name, const char* what, napi_threadsafe_function_call_js run, void* owner);
  // Has `end(owner)` called when the environment ends, while this can still be released. After what calls it was made.
  void hook(napi_cleanup_hook end, void* owner);
  void unhook();
  // For any thread, as long as it is not released.
  std::function<void()> call() const;
  // For the event loop's own thread: once more, after its other work.
  void again() const;
  void release();

 private:
  napi_env env_ = nullptr;
  napi_threadsafe_function function_ = nullptr;
  napi_cleanup_hook end_ = nullptr;
  void* owner_ = nullptr;
};

}  // namespace vpnd::face
