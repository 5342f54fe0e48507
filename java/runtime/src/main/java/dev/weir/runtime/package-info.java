/**
 * The Java side of the native layer: devices, models, the paged KV cache and the step that runs a
 * batch through a model.
 *
 * <p>{@link dev.weir.runtime.Device} &rarr; {@link dev.weir.runtime.Model} &rarr; {@link
 * dev.weir.runtime.KvCache} &rarr; {@link dev.weir.runtime.Sequence} and {@link
 * dev.weir.runtime.Step}: each is made from the one before it and closed by its owner; nothing is
 * closed by the garbage collector. They may be closed in any order: closing an object ends it at
 * once, its memory is released when what was made from it is closed as well. {@code close()} may be
 * called repeatedly and from any thread.
 *
 * <p><b>Errors.</b> A mistake of the caller (a value out of range, a sequence of another cache) is
 * an {@link dev.weir.runtime.InvalidArgumentException}, an {@link
 * java.lang.IllegalArgumentException}. Everything else that can go wrong is a {@link
 * dev.weir.runtime.WeirException} with a {@link dev.weir.runtime.Status}. A method of a closed
 * object throws {@link dev.weir.runtime.ClosedException}, a null argument where null is not
 * mentioned a {@link java.lang.NullPointerException}. A call that threw changed nothing, unless it
 * says otherwise.
 *
 * <p><b>Threads.</b> Every method may be called from any thread, virtual ones included; a call that
 * computes or reads files keeps its carrier thread busy meanwhile. Calls on one cache, its
 * sequences and steps wait for each other; only the statistics of a cache never wait for a step
 * that runs.
 *
 * <p><b>The native library</b> is found and opened by the first call that needs it, see {@link
 * dev.weir.runtime.WeirLibrary}.
 */
package dev.weir.runtime;
