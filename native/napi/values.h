// Engine values to JavaScript and back.
#pragma once
#include <napi.h>

#include <optional>

#include "engine.h"

namespace vpnd::face {

// Empty after a TypeError was thrown. Everything but `on_event` is filled in.
std::optional<EngineOptions> read_engine_options(Napi::Env env, Napi::Value value);
std::optional<Identity> read_identity(Napi::Env env, Napi::Value value);
std::optional<std::vector<Prefix>> read_prefixes(Napi::Env env, Napi::Value value);
std::optional<Endpoint> read_endpoint(Napi::Env env, Napi::Value value);

// All fields of Event; src/daemon/io/native.ts makes the tagged union of it.
Napi::Object event_object(Napi::Env env, const Event& event);
Napi::Object peer_object(Napi::Env env, const PeerInfo& info);
Napi::Object features_object(Napi::Env env, const EngineFeatures& features);
Napi::Object engine_object(Napi::Env env, const EngineInfo& info);

}  // namespace vpnd::face
