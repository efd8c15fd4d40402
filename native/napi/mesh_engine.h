// The MeshEngine class of JavaScript: vpnd::Engine with checked arguments, and its events as arrays.
//
// Order of ending: stop() ends the engine's threads (it blocks for milliseconds), and only then is the thread-safe function
// released that they call; then the engine goes. A stopped engine ignores commands and shows its last counters. The same order
// holds when the object is collected and when the environment ends without stop().
#pragma once
#include <napi.h>

#include <memory>

#include "engine.h"
#include "waker.h"

namespace vpnd::face {

class MeshEngine : public Napi::ObjectWrap<MeshEngine> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  // new MeshEngine(options, onEvents): onEvents gets an array of events, in order.
  explicit MeshEngine(const Napi::CallbackInfo& info);
  ~MeshEngine() override;

 private:
  using Info = Napi::CallbackInfo;
  void start(const Info& info);
  void stop(const Info& info);
  void send(const Info& info);
  void connect(const Info& info);
  void abort(const Info& info);
  void admit(const Info& info);
  void refuse(const Info& info);
  void set_peer(const Info& info);
  void remove_peer(const Info& info);
  void close_peer(const Info& info);
  void ping(const Info& info);
  void send_control(const Info& info);
  void set_identity(const Info& info);
  void set_filter(const Info& info);
  Napi::Value peer_counters(const Info& info);
  Napi::Value counters(const Info& info);
  Napi::Value features(const Info& info);
  Napi::Value responds(const Info& info);
  Napi::Value unknown_destinations(const Info& info);

  static void deliver(napi_env env, napi_value callback, void* context, void* data);
  static void on_environment_end(void* self);
  void end();
  void release();

  Waker waker_;
  // Null once stopped.
  std::unique_ptr<Engine> engine_;
  EngineInfo last_info_{};
  bool stopped_ = false;
};

}  // namespace vpnd::face
