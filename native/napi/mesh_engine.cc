#include "mesh_engine.h"

#include "arguments.h"
#include "control_message.h"
#include "filter_values.h"
#include "handler.h"
#include "live.h"
#include "values.h"

namespace vpnd::face {

namespace {

constexpr size_t kMaxDatagram = 65507;

using LiveEngines = Live<Engine>;

std::optional<uint32_t> read_id(const Napi::CallbackInfo& info, size_t at, const char* name) {
  return read_number(info.Env(), info[at], name, 1, UINT32_MAX);
}

}  // namespace

void MeshEngine::define(Napi::Env env, Napi::Object exports) {
  exports.Set("MeshEngine", DefineClass(env, "MeshEngine",
                                        {InstanceMethod<&MeshEngine::start>("start"),
                                         InstanceMethod<&MeshEngine::stop>("stop"),
                                         InstanceMethod<&MeshEngine::send>("send"),
                                         InstanceMethod<&MeshEngine::connect>("connect"),
                                         InstanceMethod<&MeshEngine::abort>("abort"),
                                         InstanceMethod<&MeshEngine::admit>("admit"),
                                         InstanceMethod<&MeshEngine::refuse>("refuse"),
                                         InstanceMethod<&MeshEngine::set_peer>("setPeer"),
                                         InstanceMethod<&MeshEngine::remove_peer>("removePeer"),
                                         InstanceMethod<&MeshEngine::close_peer>("closePeer"),
                                         InstanceMethod<&MeshEngine::ping>("ping"),
                                         InstanceMethod<&MeshEngine::send_control>("sendControl"),
                                         InstanceMethod<&MeshEngine::set_identity>("setIdentity"),
                                         InstanceMethod<&MeshEngine::set_filter>("setFilter"),
                                         InstanceMethod<&MeshEngine::peer_counters>("peerCounters"),
                                         InstanceMethod<&MeshEngine::counters>("counters"),
                                         InstanceMethod<&MeshEngine::features>("features"),
                                         InstanceMethod<&MeshEngine::responds>("responds"),
                                         InstanceMethod<&MeshEngine::unknown_destinations>("unknownDestinations")}));
}

MeshEngine::MeshEngine(const Info& info) : Napi::ObjectWrap<MeshEngine>(info) {
  const Napi::Env env = info.Env();
  auto options = read_engine_options(env, info[0]);
  if (!options) return;
  if (!waker_.make(env, info[1], "onEvents", "vpnd engine events", deliver, this)) return;
  options->on_event = waker_.call();
  std::string error;
  engine_ = Engine::make(std::move(*options), error);
  if (!engine_) {
    end();
    Napi::Error::New(env, "cannot make the engine: " + error).ThrowAsJavaScriptException();
    return;
  }
  LiveEngines::instance().add(engine_.get());
  waker_.hook(on_environment_end, this);
}

MeshEngine::~MeshEngine() { release(); }

void MeshEngine::on_environment_end(void* self) { static_cast<MeshEngine*>(self)->end(); }

void MeshEngine::end() {
  if (std::exchange(stopped_, true)) return;
  if (engine_) {
    LiveEngines::instance().remove(engine_.get());
    engine_->stop();
  }
  waker_.release();
}

// The collector sees a small object and may leave it for hours; the session table, the peers and descriptors are let go of now.
void MeshEngine::release() {
  end();
  if (!engine_) return;
  waker_.unhook();
  last_info_ = engine_->info();
  engine_.reset();
}

void MeshEngine::deliver(napi_env raw_env, napi_value callback, void* context, void*) {
  if (!raw_env || !callback) return;  // the environment is ending
  // An ending worker calls this once more while it closes its handles; setting anything then fails, and would abort the process.
  napi_value trial;
  if (napi_create_array(raw_env, &trial) != napi_ok || napi_set_element(raw_env, trial, 0, trial) != napi_ok) return;
  auto* self = static_cast<MeshEngine*>(context);
  if (self->stopped_) return;
  const Napi::Env env(raw_env);
  const Napi::HandleScope scope(env);
  const std::deque<Event> events = self->engine_->drain_events();
  if (events.empty()) return;
  Napi::Array array = Napi::Array::New(env, events.size());
  uint32_t i = 0;
  for (const Event& event : events) {
    const Napi::HandleScope inner(env);
    array.Set(i++, event_object(env, event));
  }
  call_handler(raw_env, callback, {array});
}

void MeshEngine::start(const Info&) {
  if (!stopped_) engine_->start();
}

void MeshEngine::stop(const Info&) { release(); }

void MeshEngine::send(const Info& info) {
  const auto to = read_endpoint(info.Env(), info[0]);
  if (!to) return;
  const auto data = read_bytes(info.Env(), info[1], "data", 0, kMaxDatagram);
  if (data && engine_) engine_->send(*to, *data);
}

void MeshEngine::connect(const Info& info) {
  const auto tag = read_id(info, 0, "tag");
  if (!tag) return;
  const auto to = read_endpoint(info.Env(), info[1]);
  if (!to || !engine_) return;
  if (info[2].IsUndefined()) {
    engine_->connect(*tag, *to);
    return;
  }
  if (const auto epoch = read_id(info, 2, "epoch")) engine_->connect(*tag, *to, *epoch);
}

void MeshEngine::abort(const Info& info) {
  if (const auto tag = read_id(info, 0, "tag"); tag && engine_) engine_->abort(*tag);
}

void MeshEngine::admit(const Info& info) {
  const auto assoc = read_id(info, 0, "assoc");
  if (!assoc) return;
  if (const auto peer = read_id(info, 1, "peer"); peer && engine_) engine_->admit(*assoc, *peer);
}

void MeshEngine::refuse(const Info& info) {
  const auto assoc = read_id(info, 0, "assoc");
  if (!assoc) return;
  const auto reason = read_number(info.Env(), info[1], "reason", 1, 255);
  if (reason && engine_) engine_->refuse(*assoc, static_cast<uint8_t>(*reason));
}

void MeshEngine::set_peer(const Info& info) {
  const auto peer = read_id(info, 0, "peer");
  if (!peer) return;
  if (auto prefixes = read_prefixes(info.Env(), info[1]); prefixes && engine_) engine_->set_peer(*peer, std::move(*prefixes));
}

void MeshEngine::remove_peer(const Info& info) {
  if (const auto peer = read_id(info, 0, "peer"); peer && engine_) engine_->remove_peer(*peer);
}

void MeshEngine::close_peer(const Info& info) {
  if (const auto peer = read_id(info, 0, "peer"); peer && engine_) engine_->close_peer(*peer);
}

void MeshEngine::ping(const Info& info) {
  const auto peer = read_id(info, 0, "peer");
  if (!peer) return;
  if (const auto token = read_token(info.Env(), info[1], "token"); token && engine_) engine_->ping(*peer, *token);
}

void MeshEngine::send_control(const Info& info) {
  const auto peer = read_id(info, 0, "peer");
  if (!peer) return;
  const auto data = read_bytes(info.Env(), info[1], "data", 1, kMaxControlMessage);
  if (!data) return;
  if (data->front() < kFirstForeignControlType || data->front() > kLastControlType) {
    throw_type_error(info.Env(), "data must begin with a type that is not the engine's");
    return;
  }
  if (engine_) engine_->send_control(*peer, *data);
}

void MeshEngine::set_identity(const Info& info) {
  if (auto identity = read_identity(info.Env(), info[0]); identity && engine_) engine_->set_identity(std::move(*identity));
}

void MeshEngine::set_filter(const Info& info) {
  if (auto rules = read_filter(info.Env(), info[0]); rules && engine_) engine_->set_filter(std::move(*rules));
}

Napi::Value MeshEngine::peer_counters(const Info& info) {
  const auto peer = read_id(info, 0, "peer");
  if (!peer) return {};
  const auto found = engine_ ? engine_->peer_info(*peer) : std::nullopt;
  return found ? peer_object(info.Env(), *found) : info.Env().Undefined();
}

Napi::Value MeshEngine::counters(const Info& info) { return engine_object(info.Env(), engine_ ? engine_->info() : last_info_); }

Napi::Value MeshEngine::features(const Info& info) {
  return engine_ ? features_object(info.Env(), engine_->features()) : info.Env().Undefined();
}

Napi::Value MeshEngine::responds(const Info& info) {
  return Napi::Boolean::New(info.Env(), stopped_ || engine_->responds());
}

Napi::Value MeshEngine::unknown_destinations(const Info& info) {
  Napi::Array out = Napi::Array::New(info.Env());
  if (!engine_) return out;
  for (const auto& [address, packets] : engine_->unknown_destinations()) {
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("address", address.text());
    entry.Set("packets", static_cast<double>(packets));
    out.Set(out.Length(), entry);
  }
  return out;
}

}  // namespace vpnd::face
