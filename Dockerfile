# JupyterLab with the book's notebooks, in a container:
#   docker build -t attention .
#   docker run --rm -p 127.0.0.1:8888:8888 attention      then open the address that it prints
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 reader
WORKDIR /home/reader/book

# First what seldom changes. PyTorch's own index has the CPU build, a tenth of the size.
COPY requirements.txt constraints.txt ./
RUN python -m pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    -r requirements.txt -c constraints.txt

COPY --chown=reader:reader . .
RUN python -m pip install --no-cache-dir --no-deps --editable . \
    && chown reader:reader .

USER 1000
EXPOSE 8888
CMD ["python", "tools/lab.py", "--ip=0.0.0.0", "--no-browser"]
