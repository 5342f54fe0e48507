package dev.weir.engine;

import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * One subscriber of a generation. Signals are counted, and whoever brings the count from zero
 * starts the one task that serves the subscriber until the count is used up; so signals are serial,
 * and the thread that gives one never runs the subscriber's code.
 */
final class TokenSubscription implements Flow.Subscription {
  private final Generation generation;
  private final Flow.Subscriber<? super GeneratedToken> subscriber;
  private final Executor delivery;

  private final AtomicLong demand = new AtomicLong();
  // 1 until start(): nothing may be delivered before onSubscribe has returned.
  private final AtomicInteger signals = new AtomicInteger(1);
  private volatile long invalidRequest = 1;
  private volatile boolean done;
  private int next;

  TokenSubscription(
      Generation generation,
      Flow.Subscriber<? super GeneratedToken> subscriber,
      Executor delivery) {
    this.generation = generation;
    this.subscriber = subscriber;
    this.delivery = delivery;
  }

  void start() {
    delivery.execute(this::serve);
  }

  /** A token was added: of interest only if one is wanted. */
  void tokenArrived() {
    if (demand.get() > 0) {
      signal();
    }
  }

  void signal() {
    if (signals.getAndIncrement() == 0) {
      delivery.execute(this::serve);
    }
  }

  @Override
  public void request(long n) {
    if (n < 1) {
      invalidRequest = n;
    } else {
      demand.accumulateAndGet(n, (a, b) -> a > Long.MAX_VALUE - b ? Long.MAX_VALUE : a + b);
    }
    signal();
  }

  @Override
  public void cancel() {
    done = true;
    generation.unsubscribe(this);
  }

  private void serve() {
    boolean served = false;
    try {
      int seen = signals.get();
      do {
        emit();
        seen = signals.addAndGet(-seen);
      } while (seen != 0);
      served = true;
    } finally {
      if (!served) {
        cancel(); // a subscriber that throws gets nothing more
      }
    }
  }

  private void emit() {
    while (!done) {
      if (invalidRequest < 1) {
        cancel();
        subscriber.onError(
            new IllegalArgumentException(
                "requested " + invalidRequest + " tokens, must be at least 1"));
        return;
      }
      // Read before the token: a token that arrives before the end is seen before the end.
      boolean ended = generation.ended();
      GeneratedToken token = generation.token(next);
      if (token != null) {
        if (demand.get() == 0) {
          return;
        }
        demand.accumulateAndGet(1, (a, b) -> a == Long.MAX_VALUE ? a : a - b);
        next++;
        subscriber.onNext(token);
      } else if (ended) {
        cancel();
        GenerationFailedException failure = generation.failure();
        if (failure != null) {
          subscriber.onError(failure);
        } else {
          subscriber.onComplete();
        }
        return;
      } else {
        return;
      }
    }
  }
}
