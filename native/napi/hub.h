// The PortHub class of JavaScript: vpnd::PortHub with checked arguments. Ends as PacketPort does.
#pragma once
#include <napi.h>

#include <memory>

#include "port_hub.h"
#include "waker.h"

namespace vpnd::face {

class PortHub : public Napi::ObjectWrap<PortHub> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  // new PortHub({ closed, open }, onBatch): prefixes of destinations; onBatch(client, index, bytes, items, supers) is called for each
  // batch; what it is of is in memory()[index], until giveBack(index).
  explicit PortHub(const Napi::CallbackInfo& info);
  ~PortHub() override;

 private:
  using Info = Napi::CallbackInfo;
  void start(const Info& info);
  void stop(const Info& info);
  void share(const Info& info);
  void add(const Info& info);
  Napi::Value remove(const Info& info);
  void set_mode(const Info& info);
  void set_limit(const Info& info);
  void choose(const Info& info);
  void write(const Info& info);
  void give_back(const Info& info);
  Napi::Value memory(const Info& info);
  Napi::Value counters(const Info& info);
  Napi::Value shared_drops(const Info& info);
  Napi::Value responds(const Info& info);

  static void deliver(napi_env env, napi_value callback, void* context, void* data);
  static void on_environment_end(void* self);
  void end();

  Waker waker_;
  // Null once stopped.
  std::unique_ptr<vpnd::PortHub> hub_;
  bool ended_ = false;
};

// setUpClientDevice({ name, mtu, group, addresses }), detachQueue(tunFd), deleteDevices(group), forgetFlows(addresses)
void export_client_devices(Napi::Env env, Napi::Object exports);

}  // namespace vpnd::face
