// What the faces of the packet port and the port hub share.
#pragma once
#include <napi.h>

#include <memory>
#include <optional>
#include <span>

#include "port_batch.h"

namespace vpnd::face {

// Empty after a TypeError was thrown.
std::optional<PortItems> read_items(Napi::Env env, Napi::Value value);
// The array's own memory, without a copy. Shared memory could change while it is being checked, and is refused.
std::optional<std::span<uint8_t>> borrow_data(Napi::Env env, Napi::Value value);
std::optional<std::span<const uint32_t>> borrow_ends(Napi::Env env, Napi::Value value);

// index, bytes, items, supers: what a batch is announced with. False: JavaScript can run no more here.
constexpr size_t kBatchArguments = 4;
bool batch_arguments(napi_env env, const Batch& batch, napi_value (&out)[kBatchArguments]);

// [{ data: Uint8Array, ends: Uint32Array }] of batches; whoever still looks at a stopped port's memory keeps it by `held`.
Napi::Array expose_batches(Napi::Env env, std::span<BatchMemory::One> batches, const std::shared_ptr<void>& held);

// How many, by reason; without zeros.
Napi::Object port_drops_object(Napi::Env env, const PortInfo& info);

// { rxBytes, txBytes, rxPackets, txPackets, drops }
Napi::Object port_counters_object(Napi::Env env, const PortInfo& info);

}  // namespace vpnd::face
