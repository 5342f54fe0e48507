/** The schedulers that come with Weir, each with its factory. Found by name, not used directly. */
package dev.weir.scheduling.policy;
