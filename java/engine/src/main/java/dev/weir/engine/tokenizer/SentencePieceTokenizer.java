package dev.weir.engine.tokenizer;

import ai.djl.engine.EngineException;
import ai.djl.sentencepiece.jni.LibUtils;
import ai.djl.sentencepiece.jni.SentencePieceLibrary;
import java.nio.file.Path;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * SentencePiece by DJL's JNI library. DJL's own classes on top of that library report to a server
 * when they are first used, and free their memory twice when they are closed twice, so its native
 * methods are called directly.
 */
final class SentencePieceTokenizer implements Tokenizer {
  private final PieceTable pieces;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final long processor;
  private boolean closed;

  static {
    LibUtils.loadLibrary();
  }

  SentencePieceTokenizer(SentencePieceModel model, Path source) {
    pieces = model.table();
    processor = SentencePieceLibrary.LIB.createSentencePieceProcessor();
    try {
      SentencePieceLibrary.LIB.loadModelFromBytes(processor, model.serialize());
    } catch (EngineException e) {
      SentencePieceLibrary.LIB.deleteSentencePieceProcessor(processor);
      throw new TokenizerException("SentencePiece refuses " + source + ": " + e.getMessage(), e);
    }
  }

  @Override
  public int[] encode(String text) {
    MalformedTextException.check(text);
    int[] ids;
    lock.readLock().lock();
    try {
      if (closed) {
        throw new TokenizerException("the tokenizer is closed");
      }
      ids = SentencePieceLibrary.LIB.encode(processor, text);
    } catch (EngineException e) {
      throw new TokenizerException("SentencePiece failed: " + e.getMessage(), e);
    } finally {
      lock.readLock().unlock();
    }
    if (pieces.bos() < 0) {
      return ids;
    }
    int[] sequence = new int[ids.length + 1];
    sequence[0] = pieces.bos();
    System.arraycopy(ids, 0, sequence, 1, ids.length);
    return sequence;
  }

  @Override
  public StreamingDecoder decoder(int... context) {
    return new StreamingDecoder(pieces, context);
  }

  @Override
  public int vocabularySize() {
    return pieces.size();
  }

  @Override
  public int longestToken() {
    return pieces.longestToken();
  }

  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        SentencePieceLibrary.LIB.deleteSentencePieceProcessor(processor);
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
