#include "port.h"

#include <utility>

#include "arguments.h"
#include "filter_values.h"
#include "handler.h"
#include "live.h"
#include "port_values.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxFd = 1 << 30;
constexpr const char* kWrongKind = "frames are of a TAP device, packets and supers of a TUN device";

using Ports = Live<vpnd::PacketPort>;

// False: JavaScript can run no more here.
bool call_with(napi_env env, napi_value callback, const Batch& batch) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
  napi_value arguments[kBatchArguments];
  const bool runs = batch_arguments(env, batch, arguments);
  const bool called = runs && call_handler(env, callback, {arguments[0], arguments[1], arguments[2], arguments[3]});
  napi_close_handle_scope(env, scope);
  return called;
}

}  // namespace

void PacketPort::define(Napi::Env env, Napi::Object exports) {
  exports.Set("PacketPort", DefineClass(env, "PacketPort",
                                        {InstanceMethod<&PacketPort::start>("start"), InstanceMethod<&PacketPort::stop>("stop"),
                                         InstanceMethod<&PacketPort::pause>("pause"), InstanceMethod<&PacketPort::resume>("resume"),
                                         InstanceMethod<&PacketPort::give_back>("giveBack"),
                                         InstanceMethod<&PacketPort::write>("write"), InstanceMethod<&PacketPort::choose>("choose"),
                                         InstanceMethod<&PacketPort::set_filter>("setFilter"), InstanceMethod<&PacketPort::memory>("memory"),
                                         InstanceMethod<&PacketPort::counters>("counters"),
                                         InstanceMethod<&PacketPort::features>("features"),
                                         InstanceMethod<&PacketPort::responds>("responds")}));
}

PacketPort::PacketPort(const Info& info) : Napi::ObjectWrap<PacketPort>(info) {
  const Napi::Env env = info.Env();
  const auto options = read_object(env, info[0], "options");
  if (!options) return;
  const auto tun = read_number(env, options->Get("tunFd"), "tunFd", 0, kMaxFd);
  const auto mtu = read_number(env, options->Get("mtu"), "mtu", 68, 65535);
  if (!tun || !mtu) return;
  const auto items = read_items(env, options->Get("items"));
  if (!items) return;
  if (!waker_.make(env, info[1], "onBatch", "vpnd port batches", deliver, this)) return;
  std::string error;
  port_ = vpnd::PacketPort::make({static_cast<int>(*tun), *mtu, *items, waker_.call()}, error);
  if (!port_) {
    end();
    Napi::Error::New(env, "cannot make the packet port: " + error).ThrowAsJavaScriptException();
    return;
  }
  Ports::instance().add(port_.get());
  waker_.hook(on_environment_end, this);
}

PacketPort::~PacketPort() { end(); }

void PacketPort::on_environment_end(void* self) { static_cast<PacketPort*>(self)->end(); }

void PacketPort::end() {
  if (std::exchange(ended_, true)) return;
  if (port_) {
    Ports::instance().remove(port_.get());
    port_->stop();
    last_info_ = port_->info();
    port_.reset();
  }
  waker_.release();
}

void PacketPort::deliver(napi_env env, napi_value callback, void* context, void*) {
  if (!env || !callback) return;  // the environment is ending
  auto* self = static_cast<PacketPort*>(context);
  // No more at once than there are, lest other work of the event loop waits for ever. The callback may pause or stop.
  for (unsigned i = 0; i < kPortBatches && !self->ended_; i++) {
    const auto batch = self->port_->take();
    if (!batch) return;
    if (!call_with(env, callback, *batch)) return;
  }
  if (!self->ended_) self->waker_.again();
}

void PacketPort::start(const Info&) {
  if (port_) port_->start();
}

void PacketPort::stop(const Info&) { end(); }

void PacketPort::pause(const Info&) {
  if (port_) port_->pause();
}

void PacketPort::resume(const Info&) {
  if (port_) port_->resume();
}

void PacketPort::give_back(const Info& info) {
  const auto index = read_number(info.Env(), info[0], "index", 0, kPortBatches - 1);
  if (index && port_) port_->give_back(*index);
}

// choose(items)
void PacketPort::choose(const Info& info) {
  const auto items = read_items(info.Env(), info[0]);
  if (items && port_ && !port_->choose(*items)) throw_type_error(info.Env(), kWrongKind);
}

// write(data: Uint8Array, ends: Uint32Array, items)
void PacketPort::write(const Info& info) {
  const auto data = borrow_data(info.Env(), info[0]);
  if (!data) return;
  const auto ends = borrow_ends(info.Env(), info[1]);
  if (!ends) return;
  const auto items = read_items(info.Env(), info[2]);
  if (items && port_ && !port_->write(*data, *ends, *items)) throw_type_error(info.Env(), kWrongKind);
}

// setFilter(rules), as MeshEngine has it
void PacketPort::set_filter(const Info& info) {
  if (const auto rules = read_filter(info.Env(), info[0]); rules && port_) port_->set_filter(*rules);
}

// memory() -> [{ data: Uint8Array, ends: Uint32Array }], of all batches; to be called once
Napi::Value PacketPort::memory(const Info& info) {
  if (!port_) return Napi::Array::New(info.Env());
  const std::shared_ptr<BatchMemory>& memory = port_->memory();
  return expose_batches(info.Env(), memory->all, memory);
}

Napi::Value PacketPort::counters(const Info& info) {
  return port_counters_object(info.Env(), port_ ? port_->info() : last_info_);
}

// features() -> { threads, offloads }
Napi::Value PacketPort::features(const Info& info) {
  if (!port_) return info.Env().Undefined();
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("threads", 1);
  const TunOffloads& tun = port_->offloads();
  Napi::Array offloads = Napi::Array::New(info.Env());
  const std::pair<bool, const char*> all[] = {{tun.checksum, "checksum"}, {tun.tso, "tso"}, {tun.uso, "uso"}};
  for (const auto& [on, name] : all) {
    if (on) offloads.Set(offloads.Length(), name);
  }
  out.Set("offloads", offloads);
  return out;
}

Napi::Value PacketPort::responds(const Info& info) { return Napi::Boolean::New(info.Env(), !port_ || port_->responds()); }

}  // namespace vpnd::face
