#pragma once

#include "caf/type_id.hpp"

/// The only list of type-ID ranges. IDs are wire format: a part never changes its range, and new
/// types go to the end of the part's block.
namespace troupe::type_ids {

/// IDs below belong to the application.
inline constexpr caf::type_id_t core = caf::first_custom_type_id + 1000;
inline constexpr caf::type_id_t host = core + 100;
inline constexpr caf::type_id_t lock = core + 200;
inline constexpr caf::type_id_t registry = core + 300;
inline constexpr caf::type_id_t scheduler = core + 400;
inline constexpr caf::type_id_t router = core + 500;
inline constexpr caf::type_id_t state = core + 600;
inline constexpr caf::type_id_t node = core + 700;
inline constexpr caf::type_id_t net = core + 800;
/// IDs from here on belong to the application, too.
inline constexpr caf::type_id_t end = core + 3000;

} // namespace troupe::type_ids
