#include "hub.h"

#include <unistd.h>

#include <cmath>
#include <utility>

#include "arguments.h"
#include "handler.h"
#include "live.h"
#include "port_values.h"
#include "tun.h"
#include "values.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxFd = 1 << 30;

using Hubs = Live<vpnd::PortHub>;

std::optional<uint32_t> read_client(const Napi::CallbackInfo& info) {
  return read_number(info.Env(), info[0], "client", 0, UINT32_MAX);
}

// An integer that JavaScript can hold exactly.
std::optional<uint64_t> read_bytes(Napi::Env env, Napi::Value value, const char* name) {
  constexpr double kMost = 9007199254740991;
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (number >= 0 && number <= kMost && std::floor(number) == number) return static_cast<uint64_t>(number);
  throw_type_error(env, std::string(name) + " must be a number of bytes");
  return std::nullopt;
}

std::optional<vpnd::PortHub::Mode> read_mode(Napi::Env env, Napi::Value value) {
  const auto text = read_text(env, value, "mode", 16);
  if (!text) return std::nullopt;
  if (*text == "read") return vpnd::PortHub::Mode::read;
  if (*text == "pause") return vpnd::PortHub::Mode::pause;
  if (*text == "discard") return vpnd::PortHub::Mode::discard;
  throw_type_error(env, "mode must be \"read\", \"pause\" or \"discard\"");
  return std::nullopt;
}

// False: JavaScript can run no more here.
bool call_with(napi_env env, napi_value callback, const HubBatch& filled) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
  napi_value client, batch[kBatchArguments];
  const bool runs = napi_create_uint32(env, filled.client, &client) == napi_ok && batch_arguments(env, filled.batch, batch);
  const bool called = runs && call_handler(env, callback, {client, batch[0], batch[1], batch[2], batch[3]});
  napi_close_handle_scope(env, scope);
  return called;
}

}  // namespace

void PortHub::define(Napi::Env env, Napi::Object exports) {
  exports.Set("PortHub", DefineClass(env, "PortHub",
                                     {InstanceMethod<&PortHub::start>("start"), InstanceMethod<&PortHub::stop>("stop"),
                                      InstanceMethod<&PortHub::share>("share"), InstanceMethod<&PortHub::add>("add"), InstanceMethod<&PortHub::remove>("remove"),
                                      InstanceMethod<&PortHub::set_mode>("setMode"), InstanceMethod<&PortHub::choose>("choose"), InstanceMethod<&PortHub::set_limit>("setLimit"),
                                      InstanceMethod<&PortHub::write>("write"), InstanceMethod<&PortHub::give_back>("giveBack"),
                                      InstanceMethod<&PortHub::memory>("memory"), InstanceMethod<&PortHub::counters>("counters"),
                                      InstanceMethod<&PortHub::shared_drops>("sharedDrops"), InstanceMethod<&PortHub::responds>("responds")}));
}

PortHub::PortHub(const Info& info) : Napi::ObjectWrap<PortHub>(info) {
  const Napi::Env env = info.Env();
  const auto options = read_object(env, info[0], "options");
  if (!options) return;
  const auto closed = read_prefixes(env, options->Get("closed"));
  if (!closed) return;
  const auto open = read_prefixes(env, options->Get("open"));
  if (!open) return;
  if (!waker_.make(env, info[1], "onBatch", "vpnd hub batches", deliver, this)) return;
  std::string error;
  hub_ = vpnd::PortHub::make(Destinations(*closed, *open), waker_.call(), error);
  if (!hub_) {
    end();
    Napi::Error::New(env, "cannot make the port hub: " + error).ThrowAsJavaScriptException();
    return;
  }
  Hubs::instance().add(hub_.get());
  waker_.hook(on_environment_end, this);
}

PortHub::~PortHub() { end(); }

void PortHub::on_environment_end(void* self) { static_cast<PortHub*>(self)->end(); }

void PortHub::end() {
  if (std::exchange(ended_, true)) return;
  if (hub_) {
    Hubs::instance().remove(hub_.get());
    hub_->stop();
    hub_.reset();
  }
  waker_.release();
}

void PortHub::deliver(napi_env env, napi_value callback, void* context, void*) {
  if (!env || !callback) return;  // the environment is ending
  auto* self = static_cast<PortHub*>(context);
  // No more at once than there are, lest other work of the event loop waits for ever. The callback may remove clients, or stop.
  for (unsigned i = 0; i < kHubBatches && !self->ended_; i++) {
    const auto batch = self->hub_->take();
    if (!batch) return;
    if (!call_with(env, callback, *batch)) return;
  }
  if (!self->ended_) self->waker_.again();
}

void PortHub::start(const Info&) {
  if (hub_) hub_->start();
}

void PortHub::stop(const Info&) { end(); }

// share(device)
void PortHub::share(const Info& info) {
  const auto device = read_text(info.Env(), info[0], "device", 15);
  if (!device || !hub_) return;
  TunDevice queue;
  if (const int failed = open_tun_queue(*device, queue)) return throw_system_error(info.Env(), failed, "open_tun_queue", *device);
  std::string error;
  if (hub_->share(queue.fd, error, HubDirectory::of(*device))) return;
  close(queue.fd);
  Napi::Error::New(info.Env(), "cannot share the device: " + error).ThrowAsJavaScriptException();
}

// add(client, { tunFd?, mtu, items, sources, anySource, limit? })
void PortHub::add(const Info& info) {
  const Napi::Env env = info.Env();
  const auto client = read_client(info);
  if (!client) return;
  const auto options = read_object(env, info[1], "options");
  if (!options) return;
  // Without: it has the shared one.
  const Napi::Value fd = options->Get("tunFd");
  const auto tun = fd.IsUndefined() ? std::optional<uint32_t>(0) : read_number(env, fd, "tunFd", 0, kMaxFd);
  const auto mtu = read_number(env, options->Get("mtu"), "mtu", 68, 65535);
  if (!tun || !mtu) return;
  const auto items = read_items(env, options->Get("items"));
  if (!items) return;
  auto sources = read_prefixes(env, options->Get("sources"));
  const auto any_source = read_bool(env, options->Get("anySource"), "anySource");
  if (!sources || !any_source || !hub_) return;
  std::optional<uint64_t> limit;
  if (const Napi::Value given = options->Get("limit"); !given.IsUndefined()) {
    limit = read_bytes(env, given, "limit");
    if (!limit) return;
  }
  std::string error;
  if (hub_->add(*client, {fd.IsUndefined() ? -1 : static_cast<int>(*tun), *mtu, *items, std::move(*sources), *any_source, limit}, error)) return;
  Napi::Error::New(env, "cannot add the client: " + error).ThrowAsJavaScriptException();
}

// remove(client, keep) -> fd, or -1
Napi::Value PortHub::remove(const Info& info) {
  const auto client = read_client(info);
  if (!client) return {};
  const auto keep = read_bool(info.Env(), info[1], "keep");
  if (!keep) return {};
  return Napi::Number::New(info.Env(), hub_ ? hub_->remove(*client, *keep) : -1);
}

void PortHub::set_mode(const Info& info) {
  const auto client = read_client(info);
  if (!client) return;
  const auto mode = read_mode(info.Env(), info[1]);
  if (mode && hub_) hub_->set_mode(*client, *mode);
}

// setLimit(client, bytes)
void PortHub::set_limit(const Info& info) {
  const auto client = read_client(info);
  if (!client) return;
  const auto bytes = read_bytes(info.Env(), info[1], "bytes");
  if (bytes && hub_) hub_->set_limit(*client, *bytes);
}

void PortHub::choose(const Info& info) {
  const auto client = read_client(info);
  if (!client) return;
  const auto items = read_items(info.Env(), info[1]);
  if (items && hub_) hub_->choose(*client, *items);
}

// write(client, data: Uint8Array, ends: Uint32Array, items)
void PortHub::write(const Info& info) {
  const auto client = read_client(info);
  if (!client) return;
  const auto data = borrow_data(info.Env(), info[1]);
  if (!data) return;
  const auto ends = borrow_ends(info.Env(), info[2]);
  if (!ends) return;
  const auto items = read_items(info.Env(), info[3]);
  if (items && hub_) hub_->write(*client, *data, *ends, *items);
}

void PortHub::give_back(const Info& info) {
  const auto index = read_number(info.Env(), info[0], "index", 0, kHubBatches - 1);
  if (index && hub_) hub_->give_back(*index);
}

// memory() -> as PacketPort's; to be called once
Napi::Value PortHub::memory(const Info& info) {
  if (!hub_) return Napi::Array::New(info.Env());
  const std::shared_ptr<HubMemory>& memory = hub_->memory();
  return expose_batches(info.Env(), memory->all, memory);
}

// counters(client); undefined: it is not there
Napi::Value PortHub::counters(const Info& info) {
  const auto client = read_client(info);
  if (!client || !hub_) return info.Env().Undefined();
  const auto now = hub_->info(*client);
  if (!now) return info.Env().Undefined();
  const Napi::Object out = port_counters_object(info.Env(), *now);
  out.Set("passedBytes", static_cast<double>(now->passed));
  Napi::Array learned = Napi::Array::New(info.Env(), now->learned.size());
  for (uint32_t i = 0; i < now->learned.size(); i++) learned.Set(i, now->learned[i].text());
  out.Set("learned", learned);
  return out;
}

// sharedDrops() -> by reason
Napi::Value PortHub::shared_drops(const Info& info) {
  const auto now = hub_ ? hub_->shared_info() : std::nullopt;
  return now ? port_drops_object(info.Env(), *now) : Napi::Object::New(info.Env());
}

Napi::Value PortHub::responds(const Info& info) { return Napi::Boolean::New(info.Env(), !hub_ || hub_->responds()); }

}  // namespace vpnd::face
