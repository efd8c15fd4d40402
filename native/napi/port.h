// The PacketPort class of JavaScript: vpnd::PacketPort with checked arguments. Ends as MeshEngine does.
#pragma once
#include <napi.h>

#include <memory>

#include "packet_port.h"
#include "waker.h"

namespace vpnd::face {

class PacketPort : public Napi::ObjectWrap<PacketPort> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  // new PacketPort({ tunFd, mtu, items }, onBatch): onBatch(index, bytes, items, supers) is called for each batch; what it is of is
  // in memory()[index], until giveBack(index).
  explicit PacketPort(const Napi::CallbackInfo& info);
  ~PacketPort() override;

 private:
  using Info = Napi::CallbackInfo;
  void start(const Info& info);
  void stop(const Info& info);
  void pause(const Info& info);
  void resume(const Info& info);
  void give_back(const Info& info);
  void choose(const Info& info);
  void write(const Info& info);
  void set_filter(const Info& info);
  Napi::Value memory(const Info& info);
  Napi::Value counters(const Info& info);
  Napi::Value features(const Info& info);
  Napi::Value responds(const Info& info);

  static void deliver(napi_env env, napi_value callback, void* context, void* data);
  static void on_environment_end(void* self);
  void end();

  Waker waker_;
  // Null once stopped.
  std::unique_ptr<vpnd::PacketPort> port_;
  PortInfo last_info_{};
  bool ended_ = false;
};

}  // namespace vpnd::face
