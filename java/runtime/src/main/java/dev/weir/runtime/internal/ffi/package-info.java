/**
 * The binding of {@code native/include/weir.h}: the only package that touches {@code
 * java.lang.foreign}.
 *
 * <p>Nothing here depends on {@code dev.weir.runtime}: methods take and give primitives and return
 * the status of the call, and the public classes turn a status into an exception. Handles are
 * opaque 64-bit tokens that the native layer checks on every call, so they travel as {@code long},
 * not as addresses.
 */
package dev.weir.runtime.internal.ffi;
