#pragma once

#include <type_traits>

#include "troupe/core/result.hpp"

/// The parameter types and the result type of a user's function.
namespace troupe::detail {

template <class... Ps>
struct parameters {};

template <class F>
struct member_call {};

template <class R, class C, class... Ps>
struct member_call<R (C::*)(Ps...)> {
  using result = R;
  using takes = parameters<Ps...>;
};

template <class R, class C, class... Ps>
struct member_call<R (C::*)(Ps...) const> : member_call<R (C::*)(Ps...)> {};

template <class R, class C, class... Ps>
struct member_call<R (C::*)(Ps...) noexcept> : member_call<R (C::*)(Ps...)> {};

template <class R, class C, class... Ps>
struct member_call<R (C::*)(Ps...) const noexcept> : member_call<R (C::*)(Ps...)> {};

/// The signature of a plain function, or of a class with one operator().
template <class F>
struct plain_call {};

template <class R, class... Ps>
struct plain_call<R (*)(Ps...)> {
  using result = R;
  using takes = parameters<Ps...>;
};

template <class F>
requires requires {
  &F::operator();
}
struct plain_call<F> : member_call<decltype(&F::operator())> {};

template <class F>
concept plainly_callable = requires {
  typename plain_call<F>::result;
};

template <class T>
struct is_result : std::false_type {};

template <class T>
struct is_result<result<T>> : std::true_type {};

} // namespace troupe::detail
