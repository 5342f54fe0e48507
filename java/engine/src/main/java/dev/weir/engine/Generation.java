package dev.weir.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntFunction;

/**
 * A request that an {@link Engine} has accepted: its tokens as they come, and its result. The
 * tokens can be read in three ways, as often as wanted and by any number of readers; every reader
 * gets all of them from the first on.
 *
 * <ul>
 *   <li>{@link #iterator()} blocks the reading thread until the next token is there (a virtual
 *       thread is fine);
 *   <li>{@link #publisher()} pushes them as demanded;
 *   <li>{@link #completion()} gives the whole.
 * </ul>
 *
 * <p>All tokens are kept until the generation itself is garbage, so a slow reader delays nobody and
 * costs no memory beyond them; there are at most {@link GenerationRequest#maxTokens()}. No reader's
 * code ever runs on the engine's thread. To give a slow client up after a bounded backlog is for
 * the HTTP server that reads on its behalf.
 *
 * <p>If the engine fails, or the iteration that the request is part of runs out of memory, readers
 * get what was generated and then a {@link GenerationFailedException}. Every method may be called
 * from any thread.
 */
public final class Generation implements Iterable<GeneratedToken> {
  private final long id;
  private final int[] promptIds;
  private final Consumer<Generation> canceller;
  private final Executor delivery;
  private final CompletableFuture<GenerationResult> completion = new CompletableFuture<>();

  private final TokenLog tokens;

  /** Waiting readers and subscriptions. While there are none, nobody has to be woken. */
  private volatile int watchers;

  /** Whether {@link #wakeReaders} will be called. */
  private volatile boolean wakeUnderWay;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition progress = lock.newCondition();
  private final Condition end = lock.newCondition();
  // Guarded by lock, as are changes of watchers.
  private final List<TokenSubscription> subscriptions = new ArrayList<>();
  private boolean ended;
  private GenerationResult result;
  private GenerationFailedException failure;

  /**
   * @param vocabulary the text of a token that is whole characters by itself; null for others
   */
  Generation(
      long id,
      int[] promptIds,
      IntFunction<String> vocabulary,
      Consumer<Generation> canceller,
      Executor delivery) {
    tokens = new TokenLog(vocabulary);
    this.id = id;
    this.promptIds = promptIds;
    this.canceller = canceller;
    this.delivery = delivery;
  }

  /** Unique within the engine; in the order of submission. */
  public long id() {
    return id;
  }

  /** The token ids of the prompt. */
  public int[] promptIds() {
    return promptIds.clone();
  }

  /**
   * The tokens from the first on. {@code hasNext} waits for the next token or the end. It throws
   * {@link GenerationFailedException} if the generation failed, and {@link CancellationException},
   * with the interrupt status set, if the waiting thread is interrupted; the generation itself goes
   * on then. Each iterator is for one thread.
   */
  @Override
  public Iterator<GeneratedToken> iterator() {
    return new Iterator<>() {
      private int next;

      @Override
      public boolean hasNext() {
        return await(next);
      }

      @Override
      public GeneratedToken next() {
        if (!await(next)) {
          throw new NoSuchElementException("the generation has ended");
        }
        return token(next++);
      }
    };
  }

  /**
   * The tokens from the first on, for each subscriber as it demands them, on a thread of their own.
   * {@code onComplete} follows the last token, whatever the {@link FinishReason}; {@code onError}
   * with a {@link GenerationFailedException} if the generation failed. Cancelling a subscription
   * only ends that subscription; {@link #cancel()} ends the generation.
   */
  public Flow.Publisher<GeneratedToken> publisher() {
    return this::subscribe;
  }

  /**
   * The whole, when it has ended; the request holds no KV memory any more by then. Completed
   * exceptionally with a {@link GenerationFailedException} if the generation failed. Dependent
   * actions do not run on the engine's thread. Completing or cancelling the returned future has no
   * effect on the generation.
   */
  public CompletableFuture<GenerationResult> completion() {
    return completion.copy();
  }

  /**
   * The whole; waits for it.
   *
   * @throws GenerationFailedException if the generation failed: the engine did, or the iteration
   *     that the request was part of ran out of memory
   * @throws CancellationException if the waiting thread is interrupted; its interrupt status is set
   */
  public GenerationResult await() {
    lock.lock();
    try {
      while (!ended) {
        end.await();
      }
      if (failure != null) {
        throw failure;
      }
      return result;
    } catch (InterruptedException e) {
      throw interrupted(e);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the generation with {@link FinishReason#CANCELLED}; its blocks are free within two
   * iterations. Does not wait for that. Does nothing if the generation has ended.
   */
  public void cancel() {
    canceller.accept(this);
  }

  // ---- for the engine's thread

  /** Adds a token. Readers that wait for it are not woken yet, see {@link #hasToWake}. */
  void deliver(
      int id, String text, float logProbability, TokenLogProbability[] top, long nanoTime) {
    tokens.add(id, text, logProbability, top, nanoTime);
  }

  /**
   * Whether {@link #wakeReaders} has to be called, by whichever thread. There has to be a full
   * fence after {@link #deliver}: a reader that this call does not see then sees the token, because
   * it looks at the count after it has said that it watches.
   */
  boolean hasToWake() {
    if (watchers == 0 || wakeUnderWay) {
      return false;
    }
    wakeUnderWay = true;
    return true;
  }

  /** Whoever waits for a token looks for it. */
  void wakeReaders() {
    wakeUnderWay = false;
    lock.lock();
    try {
      progress.signalAll();
      for (int i = 0; i < subscriptions.size(); i++) {
        subscriptions.get(i).tokenArrived();
      }
    } finally {
      lock.unlock();
    }
  }

  /** The tokens so far; the engine's thread is the only one that adds any. */
  List<GeneratedToken> delivered() {
    GeneratedToken[] delivered = new GeneratedToken[tokens.count()];
    Arrays.setAll(delivered, tokens::get);
    return List.of(delivered);
  }

  void end(GenerationResult result) {
    lock.lock();
    try {
      this.result = result;
    } finally {
      lock.unlock();
    }
    end(() -> completion.complete(result));
  }

  void fail(GenerationFailedException exception) {
    lock.lock();
    try {
      failure = exception;
    } finally {
      lock.unlock();
    }
    end(() -> completion.completeExceptionally(exception));
  }

  private void end(Runnable complete) {
    delivery.execute(complete);
    lock.lock();
    try {
      ended = true;
      end.signalAll();
      progress.signalAll();
      for (int i = 0; i < subscriptions.size(); i++) {
        subscriptions.get(i).signal();
      }
    } finally {
      lock.unlock();
    }
  }

  // ---- for readers

  private void subscribe(Flow.Subscriber<? super GeneratedToken> subscriber) {
    TokenSubscription subscription = new TokenSubscription(this, subscriber, delivery);
    subscriber.onSubscribe(subscription);
    lock.lock();
    try {
      subscriptions.add(subscription);
      watchers++;
    } finally {
      lock.unlock();
    }
    subscription.start();
  }

  void unsubscribe(TokenSubscription subscription) {
    lock.lock();
    try {
      if (subscriptions.remove(subscription)) {
        watchers--;
      }
    } finally {
      lock.unlock();
    }
  }

  /** The token at {@code index}, or null if it is not there yet, or never will be. */
  GeneratedToken token(int index) {
    return index < tokens.count() ? tokens.get(index) : null;
  }

  boolean ended() {
    lock.lock();
    try {
      return ended;
    } finally {
      lock.unlock();
    }
  }

  /** Why the generation failed; null if it did not. */
  GenerationFailedException failure() {
    lock.lock();
    try {
      return failure;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits until there is a token at {@code index} (true), or the generation has ended without
   * (false).
   */
  private boolean await(int index) {
    if (index < tokens.count()) {
      return true;
    }
    lock.lock();
    watchers++;
    try {
      while (index >= tokens.count() && !ended) {
        progress.await();
      }
      if (index < tokens.count()) {
        return true;
      }
      if (failure != null) {
        throw failure;
      }
      return false;
    } catch (InterruptedException e) {
      throw interrupted(e);
    } finally {
      watchers--;
      lock.unlock();
    }
  }

  private static CancellationException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    CancellationException cancellation =
        new CancellationException("interrupted while waiting for a token");
    cancellation.initCause(e);
    return cancellation;
  }
}
