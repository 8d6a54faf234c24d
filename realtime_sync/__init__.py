"""Synchronous client for the OpenAI Realtime API."""
